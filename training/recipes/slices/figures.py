"""How often plane and sequence are told rightly, by collection, on slices that the network has not learned from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.models.acquisition import PLANES, SEQUENCES, AcquisitionNetwork
from core.statistics import bootstrap_interval
from training.recipes.slices.data import Slices

CUTS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)  # that a threshold could have
FEWEST_RIGHT = 0.98  # of what is named


def least_probabilities(network: AcquisitionNetwork, train: Sequence[Slices]) -> dict[str, float]:
    """Return from which probability on a plane, and a sequence, is named.

    The first of `CUTS` with which `FEWEST_RIGHT` of the training slices that are named are so rightly in every
    collection; the last where none is enough.
    """
    answers = [(slices, *probabilities(network, slices)) for slices in train]
    planes = [(told, slices.planes) for slices, told, _ in answers]
    sequences = [(told, slices.sequences) for slices, _, told in answers]
    return {"plane": _least(planes), "sequence": _least(sequences)}


def _least(answers: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    known = [(told[labels >= 0], labels[labels >= 0]) for told, labels in answers]
    enough = (cut for cut in CUTS if all(_right_of_named(*own, cut) >= FEWEST_RIGHT for own in known))
    return next(enough, CUTS[-1])


def _right_of_named(told: np.ndarray, labels: np.ndarray, cut: float) -> float:
    named = told.max(1) >= cut
    return float((told.argmax(1) == labels)[named].mean()) if named.any() else 1.0


def acquisition_figures(
    network: AcquisitionNetwork, collections: Sequence[Slices], least: Mapping[str, float]
) -> dict[str, Any]:
    """Return accuracy of plane and sequence by collection and class: n, groups, value, and an interval over groups.

    `named` is the share that is named at all, from a probability of `least` on; `right_of_named` how many rightly.
    """
    figures: dict[str, Any] = {}
    for slices in collections:
        planes, sequences = probabilities(network, slices)
        known = {"plane": (planes, slices.planes, PLANES), "sequence": (sequences, slices.sequences, SEQUENCES)}
        for name, (told, labels, words) in known.items():
            for label in np.unique(labels[labels >= 0]):
                own = labels == label
                hits, named = told.argmax(1)[own] == label, told.max(1)[own] >= least[name]
                right = {
                    "named": float(named.mean()),
                    "right_of_named": float(hits[named].mean()) if named.any() else None,
                }
                figures[f"{slices.source}: {name} {words[label]}"] = _share(hits, slices.groups[own]) | right
        figures[f"{slices.source}: axial slices not held to be axial"] = refusals(
            planes[slices.planes == 0], slices.groups[slices.planes == 0]
        )
    return figures


def refused_axial(network: AcquisitionNetwork, collections: Sequence[Slices]) -> dict[str, Any]:
    """Return what `refusals` says of the axial slices of each collection that has any."""
    answers = {}
    for slices in collections:
        own = slices.planes == 0
        if own.any():
            answers[slices.source] = refusals(probabilities(network, slices)[0][own], slices.groups[own])
    return answers


def refusals(planes: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Return for each of `CUTS` the share of axial slices whose likeliest plane is another, with at least so much."""
    wrong = np.where(planes.argmax(1) != 0, planes.max(1), 0.0)
    return {f"{cut:g}": float((wrong >= cut).mean()) for cut in CUTS} | {"n": len(groups)} if len(groups) else {}


@torch.no_grad()
def probabilities(network: AcquisitionNetwork, slices: Slices) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) and (N, 4) probabilities."""
    batches = torch.arange(len(slices.pixels)).split(256)
    answers: list[tuple[Tensor, Tensor]] = [network(slices.images(own)) for own in batches]
    planes, sequences = (torch.cat(logits).float().softmax(1).numpy() for logits in zip(*answers))
    return planes, sequences


def _share(hits: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    low, high = bootstrap_interval(hits.astype(float), groups)
    return {"value": float(hits.mean()), "interval": [low, high], "n": len(hits), "groups": len(set(groups.tolist()))}
