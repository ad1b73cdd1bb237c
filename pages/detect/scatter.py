"""Scores: the recorded scans over two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect import charts
from pages.detect.findings import scores_told
from pages.detect.record import Record, draw_source, operating_point_of, score_text
from pages.shared.records import draw_finding
from pages.shared.records.figures import condition_title, pick_condition
from pages.shared.visit.stage import draw_chart
from pages.shared.words import number, score_words

if TYPE_CHECKING:
    from core import Detection
    from core.bundles.calibration import Limits
    from core.defence.profile import Profile
    from core.evaluation.operating_points import Condition

ACROSS, SHARPER, UP = "amv", "agreement", "instability"


def beyond_words(limits: Limits, line: str) -> str:
    """What scans beyond a threshold are, on a plot with `UP` upwards and `across_of` across."""
    if limits.altered:
        return f"Scans right of {line} are altered, scans above one are flagged."
    return f"Scans right of, or above, {line} are flagged."


def across_of(limits: Limits) -> str:
    """The score that plots have across: of those that ask about the pixels the one that tells most."""
    return SHARPER if SHARPER in limits.altered else ACROSS


def draw_scatter(record: Record, detection: Detection | None, profile: Profile | None = None) -> None:
    """Clean, attacked and benignly changed scans over two scores, and this scan among them."""
    limits = record.bundle.limits[record.classifier]
    across = across_of(limits)
    pickers = st.grid(2, min_column_width=220)
    with pickers.cell():
        attack = pick_condition("Attack", record.attacks, "scatter-attack", "pgd 4/255")
    with pickers.cell():
        benign = pick_condition("Benign change", record.benign, "scatter-benign", "gaussian-noise 1")
    counted = detection is None and bool(attack or benign)
    if counted:
        _draw_flagged(record, attack, benign)
    clouds = [_cloud(record, across, "clean", "clean")]
    for symbol, condition in (("attacked", attack), ("benign", benign)):
        if condition:
            clouds.append(_cloud(record, across, condition.name, f"{symbol}: {condition_title(condition)}"))
    thresholds = (profile.applied_to(limits) if profile else limits).thresholds
    here = (detection.scores[across], detection.scores[UP]) if detection else None
    meaning = beyond_words(limits, "a dashed line")
    draw_chart(
        charts.scatter(clouds, (across, UP), thresholds, here),
        charts.HEIGHT + 60,
        key="scatter",
        alt="Scores of the calibration scans, with the thresholds as dashed lines",
    )
    if here:
        st.markdown(
            f"This scan: {score_words(across).name.lower()} **{score_text(here[0])}** (threshold "
            f"{number(thresholds[across])}), {score_words(UP).name.lower()} **{score_text(here[1])}** (threshold "
            f"{number(thresholds[UP])}). {meaning}"
        )
    else:
        st.markdown(f"{meaning} “This scan” shows where yours lies among them.")
    draw_source(
        record,
        f"The dashed lines are the {'site profile’s' if profile else 'bundle’s own'} thresholds.",
        *(["The counts are by the bundle’s own thresholds."] if counted and profile else []),
        "Scores below the axis are drawn on its lowest line, as a logarithmic axis has no 0.",
        shown=[entry.name for entry in (attack, benign) if entry],
        judged=counted,
        intervals=False,
    )


def _draw_flagged(record: Record, attack: Condition | None, benign: Condition | None) -> None:
    """What the record comes to, where it isn't a background for somebody's scan."""
    known = [entry for entry in (attack, benign) if entry]
    costs = {entry: operating_point_of(record, entry.name) for entry in known}
    draw_finding(scores_told(costs[known[0]], attack, costs[benign] if benign else None))


def _cloud(record: Record, across: str, condition: str, title: str) -> charts.Cloud:
    scores = record.calibration.conditions[condition].scores
    return charts.Cloud(title, scores[across], scores[UP])
