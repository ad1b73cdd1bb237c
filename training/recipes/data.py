"""The data sets of a task, and the batches of a recipe."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.bundles import Bundle
from core.evaluation.datasets import Dataset, DatasetError, load_dataset, load_for
from core.evaluation.selection import per_site
from training.tasks import BOXES, BRAIN_MRI, CLASSIFIER_WEIGHTS, SEQUENCES, TASKS, Weights

Batches = Callable[[int, torch.Generator], Tensor]


def load_collections(paths: Sequence[Path], bundle: str = BRAIN_MRI["name"]) -> Dataset:
    """Return several data sets as one, as the networks of a bundle take them, without outlines."""
    task = TASKS[bundle]
    classes, codes = tuple(task["classes"]), tuple(task.get("codes", ()))
    sizes = task["input"]["resolution"], task["input"]["channels"]
    parts = [load_dataset(path, classes, *sizes, codes) for path in paths]
    return replace(Dataset.joined([with_sequence(part) for part in parts]), masks=None, has_mask=None)


def measured_collections(bundle: Bundle, options: argparse.Namespace) -> Dataset:
    """Return all of --data as one, with its outlines."""
    parts = (load_for(bundle, path) for path in options.data)
    return Dataset.joined([without_boxes(with_sequence(part)) for part in parts])


def validation_scans(data: Dataset, options: argparse.Namespace) -> Dataset:
    """Return the validation scans, at most --per-site of each site."""
    return per_site(data.split("val"), options.per_site, options.seed)


def without_boxes(data: Dataset) -> Dataset:
    """Return a collection without what it has instead of outlines."""
    return replace(data, masks=None, has_mask=None) if data.collections[0] in BOXES else data


def with_sequence(data: Dataset) -> Dataset:
    """Return a collection with the sequence that `training.tasks` knows it to be of, where its file states none."""
    known = SEQUENCES.get(data.collections[0])
    return replace(data, sequences=(known,) * len(data)) if known and not data.sequences else data


def load_splits(options: argparse.Namespace, bundle: str = BRAIN_MRI["name"]) -> tuple[Dataset, Dataset]:
    """Return the training and validation scans of --data, less those of the sites in --leave-out."""
    data = without_sites(load_collections(options.data, bundle), options.leave_out)
    return data.split("train"), data.split("val")


def without_sites(data: Dataset, sites: Sequence[str]) -> Dataset:
    """Return the scans of all other sites; DatasetError where one of `sites` is none of the data's."""
    homes = np.array(data.sites or data.collections)
    unknown = sorted(set(sites) - set(homes))
    if unknown:
        raise DatasetError(f"There is no site {unknown[0]!r} to leave out; there are: {', '.join(sorted(set(homes)))}.")
    return data.subset(np.flatnonzero(~np.isin(homes, list(sites)))) if sites else data


def batches(data: Dataset, options: argparse.Namespace, table: Weights = CLASSIFIER_WEIGHTS) -> Batches:
    """Return what draws the indices of a step's batch: (step, generator of the step) → (B,).

    Of one collection every image comes once an epoch. Of several, each draw takes a class of a collection by its weight
    first, and then one of its images: by `table`, changed by --weights.
    """
    if len(set(data.collections)) < 2:
        return shuffled(len(data), options.batch, options.seed)
    return weighted(data, options.batch, table | dict(options.weights or ()))


def shuffled(count: int, size: int, seed: int) -> Batches:
    """Return batches of a shuffled collection, each image once an epoch; all of them of one size."""
    size = min(size, count)
    length = count // size

    def draw(step: int, generator: torch.Generator) -> Tensor:
        epoch, place = divmod(step, length)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed + 1_000_003 * epoch))
        return order[place * size : place * size + size]

    return draw


def weighted(data: Dataset, size: int, table: Weights) -> Batches:
    """Return batches drawn with replacement, a class of a collection by its weight first."""
    homes, labels = np.array(data.collections), data.labels.numpy()
    present = sorted(set(zip(data.collections, labels.tolist())))
    missing = [f"{name}/{label}" for name, label in present if (name, label) not in table]
    if missing:
        raise DatasetError(f"There is no weight for {missing[0]}; give it with --weights {missing[0]}=0.1, say.")
    drawn = [cell for cell in table if cell in present]
    cells = [torch.from_numpy(np.flatnonzero((homes == name) & (labels == label))) for name, label in drawn]
    weights = torch.tensor([table[cell] for cell in drawn])

    def draw(step: int, generator: torch.Generator) -> Tensor:
        chosen = torch.multinomial(weights, size, replacement=True, generator=generator).tolist()
        places = torch.rand(size, generator=generator)
        return torch.stack([cells[cell][int(place * len(cells[cell]))] for cell, place in zip(chosen, places)])

    return draw


def by_collection(data: Dataset, most: int) -> dict[str, Dataset]:
    """Return the scans of each collection, at most so many of them, spread evenly."""
    found = {}
    for name in dict.fromkeys(data.collections):
        places = np.flatnonzero(np.array(data.collections) == name)
        even = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
        found[name] = data.subset(places[even])
    return found
