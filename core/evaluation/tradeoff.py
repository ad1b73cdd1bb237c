"""What a purifier buys and what it costs: accuracy against likeness to the scan, as recorded in a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.bundles import FAMILY, Bundle, weights_record
from core.bundles.calibration import Calibration
from core.evaluation.operating_points import Share
from core.purification.catalogue import PURIFIERS
from core.statistics import bootstrap_interval

CONDITIONS = {"clean": "clean", "pgd 4/255": "attacked_4", "pgd 8/255": "attacked_8"}


class Point(NamedTuple):
    """One purifier under one condition.

    method: in `core.purification.catalogue.PURIFIERS`; t, steps: None where it has none; condition: in `CONDITIONS`;
    accuracy: of the classifier on the estimates, whether or not the scan would have been flagged; ssim: mean, of the
    estimate to the clean scan; lesion: share of the outlined tumours whose contrast is kept within 10 %, or None where
    nobody measured it; milliseconds: a scan, or None.
    """

    method: str
    t: int | None
    steps: int | None
    condition: str
    accuracy: Share
    ssim: float
    lesion: float | None = None
    milliseconds: float | None = None


class Tradeoff(NamedTuple):
    """points: of all purifiers and conditions; command: what measured them; compared: whether all purifiers were
    measured, or only one-step denoising, as calibration needs it."""

    points: tuple[Point, ...]
    command: str
    compared: bool


def tradeoff(bundle: Bundle, classifier: str | None = None) -> Tradeoff:
    """The comparison of purifiers that is recorded beside the bundle; else what its recorded answers tell."""
    name = bundle.classifier_name(classifier)
    record = rows_of_today(bundle, "purifiers") if name == bundle.default_classifier else {}
    points = tuple(point for row in record.get("rows", []) for point in row_points(row))
    if points:
        return Tradeoff(points, record["command"], True)
    command = str(bundle.facts.get("calibrated", {}).get("command", ""))
    calibration = bundle.calibrations.get(name)
    return Tradeoff(recorded_points(calibration) if calibration else (), command, False)


def entry_of_today(bundle: Bundle, name: str) -> Any:
    """The same as `results_entry`; empty, too, where it was measured with other weights or another t* ladder."""
    record = results_entry(bundle.folder, name)
    if not record or record.get("made_with") != made_with_today(bundle) or not family_is_todays(bundle, record):
        return {}
    return record


def rows_of_today(bundle: Bundle, name: str) -> Any:
    """The same as `entry_of_today`, less the rows that were measured with another network of `FAMILY`."""
    record = entry_of_today(bundle, name)
    rows = [row for row in record.get("rows", []) if family_is_todays(bundle, row)]
    return record | {"rows": rows} if rows else {}


def made_with_today(bundle: Bundle) -> dict[str, Any]:
    """What figures of all purifiers depend on: what was trained, less `FAMILY`, and the ladder of t*.

    Who answers in the defence where a scan was purified isn't asked here.
    """
    name = bundle.default_classifier
    weights = weights_record(bundle, name)
    if bundle.answering(name) != name:
        del weights[bundle.facts["classifiers"][bundle.answering(name)]["file"]]
    return {"weights_sha256": weights, "ladder": repr(bundle.limits_of(name).ladder)}


def family_is_todays(bundle: Bundle, measured: Mapping[str, Any]) -> bool:
    """Whether the bundle still holds the networks of `FAMILY` that something was measured with, as it says."""
    return measured.get("family", {}).items() <= bundle.hashes.items()


def family_today(bundle: Bundle, method: str) -> dict[str, str]:
    """File → SHA-256 of the networks of `FAMILY` that one purifier works with; empty for most."""
    parts = FAMILY.keys() & PURIFIERS[method].needs
    return {bundle.facts[part]["file"]: bundle.hashes[bundle.facts[part]["file"]] for part in sorted(parts)}


def results_entry(folder: Path, name: str) -> Any:
    """An entry of the results.json in a bundle's folder, such as ``purifiers``; empty where there is none."""
    path = folder / "results.json"
    try:
        stat = path.stat()
        return _results(path, stat.st_mtime_ns, stat.st_size).get(name, {})
    except (OSError, ValueError, AttributeError):
        return {}


# The file is large, and pages ask for an entry of it whenever something is clicked.
@lru_cache(maxsize=8)
def _results(path: Path, changed_ns: int, size: int) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def row_points(row: Mapping[str, Any]) -> list[Point]:
    """One row of the comparison → a point for each condition that it was measured under."""
    points = []
    for condition, key in CONDITIONS.items():
        if key not in row:
            continue
        low, high = row["intervals"][key]
        accuracy = Share(row[key], low, high, row["n"])
        lesions = row[f"lesion_{key}"]
        kept = lesions["contrast_kept"] if lesions else None
        how = row["method"], row["t"], row["steps"]
        points.append(Point(*how, condition, accuracy, row[f"ssim_{key}"], kept, row["ms"]))
    return points


def recorded_points(calibration: Calibration) -> tuple[Point, ...]:
    """One-step denoising of every calibration scan, at the noise levels that its answers are recorded for.

    Answered by whoever answers on estimates (`Bundle.answering`), as in the pipeline.
    """
    points, truth = [], np.array(calibration.labels)
    for condition in CONDITIONS:
        answers = calibration.conditions.get(condition)
        if answers is None or len(answers) != len(truth):
            continue
        for t, given in sorted((answers.robust or answers.estimates).items()):
            right = np.array(given) == truth
            low, high = bootstrap_interval(right, calibration.groups)
            accuracy = Share(float(right.mean()), low, high, len(right))
            points.append(Point("one-step", t, 1, condition, accuracy, float(np.mean(answers.ssim[t]))))
    return tuple(points)


def pareto(points: list[Point]) -> list[Point]:
    """Those that no other beats in both accuracy and SSIM, by rising SSIM."""
    ahead: list[Point] = []
    for point in sorted(points, key=lambda point: (point.ssim, point.accuracy.value), reverse=True):
        if not ahead or point.accuracy.value > ahead[-1].accuracy.value:
            ahead.append(point)
    return ahead[::-1]
