"""How the gate of a mixture weighs its experts over the calibration scans, as recorded, and a map of that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.bundles import Bundle, BundleError

FILE = "gates.json"
CLEAN = "clean"


@dataclass(frozen=True)
class GateRecord:
    """Gate vectors of the same N scans under several conditions.

    Attributes
    ----------
    labels : tuple of int
        (N,) the true classes.
    conditions : mapping of str to ndarray
        ``clean`` or ``pgd 8/255`` → (N, K) weights, each row summing to one.
    command, split : str
        What recorded them, and on which scans.
    weights : str
        SHA-256 of the mixture's file as it was then.
    """

    labels: tuple[int, ...]
    conditions: Mapping[str, np.ndarray]
    command: str
    split: str
    weights: str

    def mean(self, condition: str) -> np.ndarray:
        """(K,) the mean weight of each expert over the scans."""
        return self.conditions[condition].mean(0)

    def shift(self, condition: str) -> np.ndarray:
        """(K,) how much more each expert counts than on the same scans clean, on average, in [-1, 1]."""
        return self.mean(condition) - self.mean(CLEAN)

    def spread(self) -> np.ndarray:
        """(K,) how much each expert's weight differs from clean scan to clean scan: its standard deviation."""
        return self.conditions[CLEAN].std(0)


class Projection(NamedTuple):
    """A plane through the space of gate vectors.

    centre (K,); axes (2, K) of length one; explained (2,) share of the variance along each, in [0, 1].
    """

    centre: np.ndarray
    axes: np.ndarray
    explained: np.ndarray

    def place(self, gates: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """(N, K) gate vectors → (N, 2) where they lie in the plane."""
        return (np.asarray(gates, dtype=float) - self.centre) @ self.axes.T


def read_gates(bundle: Bundle, classifier: str) -> GateRecord | None:
    """What is recorded for a mixture; None where nothing is, or where it was recorded with other weights.

    Raises
    ------
    BundleError
        The file is damaged; one sentence.
    """
    path = bundle.folder / FILE
    if not path.is_file():
        return None
    try:
        entry = json.loads(path.read_text(encoding="utf-8")).get(classifier)
        record = None if entry is None else _record(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{bundle.name}/{FILE} can't be read; run training.measure.gates again.") from error
    if record is None or record.weights != bundle.hashes.get(bundle.facts["classifiers"][classifier]["file"]):
        return None
    return record


def _record(entry: Mapping) -> GateRecord:
    labels = tuple(entry["labels"])
    conditions = {name: np.array(rows, dtype=float) for name, rows in entry["conditions"].items()}
    if any(rows.ndim != 2 or len(rows) != len(labels) for rows in conditions.values()):
        raise ValueError("Every condition needs one row of weights a scan.")
    return GateRecord(labels, conditions, entry["command"], entry["split"], entry["weights"])


def gate_projection(record: GateRecord) -> Projection:
    """The first two principal components of all recorded gate vectors together (Pearson 1901).

    The largest entry of each axis is positive, so that the same record always gives the same map. With two experts, or
    a gate that never moves, an axis has no variance.
    """
    gates = np.concatenate(list(record.conditions.values()))
    centre = gates.mean(0)
    _, lengths, axes = np.linalg.svd(gates - centre, full_matrices=False)
    axes = axes[:2] * np.sign(np.take_along_axis(axes[:2], np.abs(axes[:2]).argmax(1)[:, None], 1))
    variance = lengths**2
    return Projection(centre, axes, variance[:2] / max(float(variance.sum()), 1e-12))
