"""The data set of a task, and the batches of a recipe."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from core.evaluation.datasets import Dataset, load_dataset
from training.tasks import BRAIN_MRI, TASKS


def load_splits(path: Path, bundle: str = BRAIN_MRI["name"]) -> tuple[Dataset, Dataset]:
    """Return the training and validation scans of a data set, as the networks of a bundle take them."""
    task = TASKS[bundle]
    classes, codes = tuple(task["classes"]), tuple(task.get("codes", ()))
    data = load_dataset(path, classes, task["input"]["resolution"], task["input"]["channels"], codes)
    return data.split("train"), data.split("val")


def random_batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of indices into `count` images, without end."""
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order.split(size) if count < size else order[: count - count % size].split(size)
