"""Scores, stress and benign changes: the recorded scans in charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect import charts
from pages.detect.record import (
    Record,
    condition_title,
    count_text,
    draw_source,
    full_text,
    method_title,
    operating_point_of,
    pick_condition,
    score_text,
)
from pages.shared.charts import CONFIG
from pages.shared.words import number, plain, score_words

if TYPE_CHECKING:
    from core import Detection
    from core.evaluation.operating_points import Condition

ACROSS, UP = "amv", "instability"
STRESSED = "pgd"
STRESS_EPS = (0.5, 1, 2, 4, 8, 16)


def draw_scatter(record: Record, detection: Detection | None) -> None:
    """Clean, attacked and benignly changed scans over two scores, and this scan among them."""
    pickers = st.grid(2, min_column_width=220)
    with pickers.cell():
        attack = pick_condition("Attack", record.attacks, "scatter-attack", "pgd 4/255")
    with pickers.cell():
        benign = pick_condition("Benign change", record.benign, "scatter-benign", "gaussian-noise 1")
    clouds = [_cloud(record, "clean", "clean")]
    for symbol, condition in (("attacked", attack), ("benign", benign)):
        if condition:
            clouds.append(_cloud(record, condition.name, f"{symbol}: {condition_title(condition)}"))
    thresholds = record.bundle.limits[record.classifier].thresholds
    here = (detection.scores[ACROSS], detection.scores[UP]) if detection else None
    st.plotly_chart(
        charts.scatter(clouds, (ACROSS, UP), thresholds, here),
        height=charts.HEIGHT + 60,
        config=CONFIG,
        key="scatter",
        alt="Scores of the calibration scans, with the thresholds as dashed lines",
    )
    if detection:
        st.markdown(
            f"This scan: {score_words(ACROSS).name.lower()} **{score_text(here[0])}** (threshold "
            f"{number(thresholds[ACROSS])}), {score_words(UP).name.lower()} **{score_text(here[1])}** (threshold "
            f"{number(thresholds[UP])}). Scans right of, or above, a dashed line are flagged."
        )
    else:
        st.markdown("Scans right of, or above, a dashed line are flagged. Choose a scan to see where it lies.")
    draw_source(
        record,
        "The dashed lines are the bundle’s own thresholds.",
        "Scores below the axis are drawn on its lowest line, as a logarithmic axis has no 0.",
        judged=False,
    )


def _cloud(record: Record, condition: str, title: str) -> charts.Cloud:
    scores = record.calibration.conditions[condition].scores
    return charts.Cloud(title, scores[ACROSS], scores[UP])


def draw_stress(record: Record) -> None:
    """Accuracy and detection over the strength of the attack."""
    known = {entry.strength: entry for entry in record.attacks if _stresses(entry)}
    missing = [f"{eps:g}/255" for eps in STRESS_EPS if eps not in known]
    if missing:
        st.info(f"Not recorded in this bundle yet: PGD at ε = {', '.join(missing)}.", icon=":material/info:")
    if not known:
        return
    strengths = sorted(known)
    costs = [operating_point_of(record, known[eps].name) for eps in strengths]
    named = (
        ("undefended accuracy", "undefended_attacked"),
        ("defended accuracy", "defended_attacked"),
        ("flagged", "flagged"),
    )
    lines = [charts.Line(title, strengths, [getattr(cost, name) for cost in costs]) for title, name in named]
    st.plotly_chart(
        charts.stress_chart(lines),
        height=charts.HEIGHT,
        config=CONFIG,
        key="stress",
        alt="Undefended accuracy, defended accuracy and share flagged over ε of PGD",
    )
    rows = [
        {"ε": f"{eps:g}/255"} | {line.title.capitalize(): full_text(line.shares[place]) for line in lines}
        for place, eps in enumerate(strengths)
    ]
    st.table(rows, hide_index=True)
    draw_source(record, "The attacker knows the classifier, and nothing about the defence. A refusal counts as wrong.")


def _stresses(entry: Condition) -> bool:
    return entry.method == STRESSED and entry.name.endswith("/255")


def draw_benign(record: Record) -> None:
    """What the detector makes of changes that nobody meant ill by."""
    from core.attacks import CORRUPTIONS

    st.markdown(
        "Scanners and file formats change scans, too. Such a change should not be called an attack; and where it is, "
        "the label should stay as it was."
    )
    rows = []
    for entry in record.benign:
        cost = operating_point_of(record, entry.name)
        rows.append(
            {
                "Change": method_title(entry.method),
                "Severity": f"{entry.strength:g}",
                "Flagged": f"{count_text(cost.flagged)}: {full_text(cost.flagged)}",
                "Label kept": count_text(cost.label_kept),
                "Turned wrong": f"{cost.turned_wrong}",
                "Turned right": f"{cost.turned_right}",
                "Undefended accuracy": full_text(cost.undefended_attacked),
                "Defended accuracy": full_text(cost.defended_attacked),
            }
        )
    if rows:
        st.table(rows, hide_index=True)
    missing = [method_title(name) for name in CORRUPTIONS if name not in {entry.method for entry in record.benign}]
    if missing:
        st.info(f"Not recorded in this bundle yet: {plain(', '.join(missing))}.", icon=":material/info:")
    draw_source(
        record,
        "Label kept: of the flagged scans that were not refused, those whose answer is still what the classifier "
        "had said before. Turned wrong, turned right: of the same scans, those whose answer was right before and is "
        "wrong now, and the other way round.",
    )
