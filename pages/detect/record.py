"""The recorded calibration scans as the Detect page reads them: names in words, figures made once, and their source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.records import draw_command
from pages.shared.words import SPLITS, number, plain, score_words

if TYPE_CHECKING:
    from core import Bundle
    from core.bundles.calibration import Calibration, Limits
    from core.evaluation.operating_points import Condition, OperatingPoint, Roc

JOINT_WORDS, ALTERED_WORDS = "All three together", "Altered: both together"


@dataclass(frozen=True)
class Record:
    """What is recorded for one classifier.

    attacks, benign: the recorded conditions; fitted: (N,) limits of each scan's own; cross_fitted: whether these were
    fitted without the scan's fold.
    """

    bundle: Bundle
    classifier: str
    calibration: Calibration
    attacks: tuple[Condition, ...]
    benign: tuple[Condition, ...]
    fitted: list[Limits]
    cross_fitted: bool

    @property
    def own(self) -> bool:
        """Whether it is a classifier's own: one that was added has none."""
        return self.classifier not in self.bundle.added

    @property
    def key(self) -> tuple[str, ...]:
        """Everything that the recorded figures depend on."""
        name = self.bundle.facts["calibration"]
        return self.bundle.name, self.classifier, self.bundle.hashes[name], *self.calibration.conditions


def open_record(bundle: Bundle, classifier: str) -> Record:
    """The record of one classifier of a bundle; without conditions where it was added, as none are recorded."""
    from core.evaluation.operating_points import recorded

    if classifier in bundle.added:
        return Record(bundle, classifier, bundle.starting_calibration(classifier), (), (), [], False)
    calibration = bundle.calibrations[classifier]
    conditions = recorded(calibration)
    key = (bundle.name, classifier, *bundle.hashes.values(), *calibration.conditions)
    fitted = _fitted(key, calibration)
    return Record(
        bundle,
        classifier,
        calibration,
        tuple(condition for condition in conditions if not condition.benign),
        tuple(condition for condition in conditions if condition.benign),
        fitted or [bundle.limits[classifier]] * len(calibration.labels),
        fitted is not None,
    )


@st.cache_resource(show_spinner=False, max_entries=8)
def _fitted(key: tuple[str, ...], _calibration: Calibration) -> list[Limits] | None:
    from core.defence.fitting import cross_fitted_limits

    try:
        return cross_fitted_limits(_calibration)
    except KeyError:  # a condition that thresholds are fitted on is not recorded
        return None


def operating_point_of(record: Record, condition: str) -> OperatingPoint:
    """What the bundle's own limits cost under a condition; made once."""
    return _operating_point(record.key, condition, record)


@st.cache_resource(show_spinner=False, max_entries=512)
def _operating_point(key: tuple[str, ...], condition: str, _record: Record) -> OperatingPoint:
    from core.evaluation.operating_points import operating_point

    return operating_point(_record.calibration, condition, _record.fitted)


def roc_of(record: Record, condition: str, score: str) -> Roc:
    """A score's curve under a condition; made once."""
    return _roc(record.key, condition, score, record)


@st.cache_resource(show_spinner=False, max_entries=512)
def _roc(key: tuple[str, ...], condition: str, score: str, _record: Record) -> Roc:
    from core.evaluation.operating_points import roc

    return roc(_record.calibration, condition, score, _record.fitted)


def score_text(value: float) -> str:
    """A score in three digits, without powers of ten: so small a score is as good as none."""
    return "under 0.001" if 0 <= value < 0.001 else number(value)


def score_name(score: str) -> str:
    """A detection score, or the joint decision, in words."""
    from core.evaluation.operating_points import JOINT

    return JOINT_WORDS if score == JOINT else score_words(score).name


def draw_source(
    record: Record, *remarks: str, shown: Iterable[str], judged: bool = True, intervals: bool = True
) -> None:
    """Where the figures above come from: how many scans, which split, which command.

    `shown`: names of the conditions that they are of; `judged`: with thresholds; `intervals`: with intervals beside
    them.
    """
    from core.statistics import RESAMPLES

    facts = record.bundle.facts.get("calibrated", {})
    count, groups = len(record.calibration.labels), len(set(record.calibration.groups))
    split = str(facts.get("split", ""))
    fitting = (
        "Each scan is judged with thresholds that its fold (one of five) had no part in."
        if record.cross_fitted
        else "Thresholds are the bundle’s own, not cross-fitted, as not every scan set that this takes is recorded."
    )
    resampled = f"Intervals: 95 %, {RESAMPLES} bootstrap resamples of whole groups."
    how = [fitting, *([resampled] if intervals else [])] if judged else []
    st.caption(
        f"n = {count} scans in {groups} near-duplicate groups, {plain(SPLITS.get(split, split))} split, classifier "
        f"{plain(record.classifier)}. {' '.join([*how, *remarks])}"
    )
    if command := command_behind(record, shown):
        draw_command(command)


def command_behind(record: Record, shown: Iterable[str]) -> str:
    """What measures the figures of these conditions again; empty where nobody has noted it.

    Calibration records the conditions that thresholds are made of; further ones are recorded with the tables.
    """
    from core.bundles.calibration import LADDER, spared_changes
    from core.evaluation.tradeoff import results_entry

    calibrated = str(record.bundle.facts.get("calibrated", {}).get("command", ""))
    benign = (f"{name} {severity}" for name, severity in spared_changes(record.calibration.changes))
    if {*shown} <= {"clean", *(f"pgd {eps}/255" for eps, _ in LADDER), *benign}:
        return calibrated
    return str(results_entry(record.bundle.folder, "command") or "")
