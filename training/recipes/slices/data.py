"""Slices of three collections with their plane and sequence, as far as anybody knows them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.models.acquisition import PLANES, SEQUENCES

UNKNOWN, NOT_T2 = -1, -2
FEWEST_SLICES = 18  # a head of fewer is too coarse to be cut across
CUTS = 10  # of a head, in each of the two planes across its slices
SIDE = 128
LABELS = Path(__file__).with_name("labels.json")
_NAMES = {"FLAIR": "FLAIR", "T1": "T1", "T1c": "T1 with contrast"}  # in tcga-lgg.npz


@dataclass(frozen=True)
class Slices:
    """Slices of one kind.

    Attributes
    ----------
    source : str
        Collection, ``'reformatted'`` for what was cut across the slices of TCGA-LGG.
    pixels : ndarray
        (N, 128, 128) uint8.
    planes, sequences : ndarray
        (N,) indices into `PLANES` and `SEQUENCES`; `UNKNOWN`, or `NOT_T2` for any other sequence.
    groups, splits : ndarray
        (N,) what is never divided, and 0 train or 1 val.
    """

    source: str
    pixels: np.ndarray
    planes: np.ndarray
    sequences: np.ndarray
    groups: np.ndarray
    splits: np.ndarray

    def chosen(self, which: np.ndarray) -> "Slices":
        """Those of a (N,) mask."""
        own = (self.pixels, self.planes, self.sequences, self.groups, self.splits)
        return Slices(self.source, *(values[which] for values in own))

    def images(self, places: Tensor) -> Tensor:
        """(B, 1, 128, 128) float32 in [0, 1]."""
        return torch.from_numpy(self.pixels[places.numpy()]).unsqueeze(1) / 255


def load_slices(files: Mapping[str, Path]) -> list[Slices]:
    """Read what `files` name br35h, tcga-lgg and cheng, with the labels of `labels.json`."""
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    heads = files["tcga-lgg"]
    return [_tcga(heads), reformatted(heads), _cheng(files["cheng"], labels), _br35h(files["br35h"], labels)]


def _tcga(path: Path) -> Slices:
    with np.load(path) as file:
        kinds = np.array([SEQUENCES.index(_NAMES[name]) for name in file["sequence"]])
        return Slices("TCGA-LGG", file["image"], np.zeros(len(kinds), int), kinds, file["group"], file["split"])


def _cheng(path: Path, labels: dict) -> Slices:
    with np.load(path) as file:
        planes = plane_of_numbers(file["number"], labels["cheng_planes"])
        kinds = np.full(len(planes), SEQUENCES.index("T1 with contrast"))
        return Slices("Cheng", file["image"], planes, kinds, file["group"], file["split"])


def plane_of_numbers(numbers: np.ndarray, runs: list[tuple[int, int, str]]) -> np.ndarray:
    """(N,) file numbers → (N,) indices into `PLANES`, `UNKNOWN` outside of the runs (first, last, plane)."""
    planes = np.full(len(numbers), UNKNOWN)
    for first, last, plane in runs:
        planes[(numbers >= first) & (numbers <= last)] = PLANES.index(plane)
    return planes


def _br35h(path: Path, labels: dict) -> Slices:
    with np.load(path) as file:
        groups, kinds = file["group"], np.full(len(file["group"]), UNKNOWN)
        kinds[np.isin(groups, labels["br35h_other_groups"])] = NOT_T2
        kinds[np.isin(groups, labels["br35h_t2_groups"])] = SEQUENCES.index("T2")
        return Slices("Br35H", file["image"], np.zeros(len(kinds), int), kinds, groups, file["split"])


def reformatted(path: Path, cuts: int = CUTS) -> Slices:
    """Coronal and sagittal slices of the axial volumes of TCGA-LGG.

    Its slice numbers rise from the neck to the vertex. How far apart the slices are is not stated, so a head is made
    as high as four fifths of the picture; the recipe varies that.
    """
    parts: list[tuple[np.ndarray, int, int, str, int]] = []
    with np.load(path) as file:
        images, groups, kinds = file["image"], file["group"], file["sequence"]
        order, splits = file["slice"], file["split"]
    for patient in sorted(set(groups)):
        for name in ("FLAIR", "T1c"):
            own = np.flatnonzero((groups == patient) & (kinds == name))
            if len(own) < FEWEST_SLICES:
                continue
            volume = images[own[np.argsort(order[own])]][::-1]
            for plane, picture in _across(volume, cuts):
                parts.append((picture, plane, SEQUENCES.index(_NAMES[name]), patient, int(splits[own[0]])))
    pixels, planes, sequences, patients, own_splits = (np.array(values) for values in zip(*parts))
    return Slices("reformatted", pixels, planes, sequences, patients, own_splits)


def _across(volume: np.ndarray, cuts: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield plane and (128, 128) uint8 slices of a (S, 128, 128) volume whose first slice is the vertex."""
    rows, columns = (np.flatnonzero(volume.max(axis) > 25) for axis in ((0, 2), (0, 1)))
    for plane, axis, places in (("coronal", 1, rows), ("sagittal", 2, columns)):
        if len(places) < cuts:
            continue
        for place in np.linspace(places[0], places[-1], cuts + 4).round().astype(int)[2:-2]:
            yield PLANES.index(plane), _stretched(np.take(volume, place, axis))


def _stretched(section: np.ndarray) -> np.ndarray:
    """(S, 128) → (128, 128) uint8, its rows stretched over four fifths of the height."""
    high = round(0.8 * SIDE)
    tall = functional.interpolate(torch.from_numpy(section.copy()).float()[None, None], (high, SIDE), mode="bilinear")
    top = (SIDE - high) // 2
    picture = functional.pad(tall[0, 0], (0, 0, top, SIDE - high - top))
    return picture.round().clamp(0, 255).to(torch.uint8).numpy()
