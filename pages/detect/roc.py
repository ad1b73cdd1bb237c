"""ROC: how well each score tells attacked from clean scans, the paper's beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect import charts
from pages.detect.record import Record, condition_title, draw_source, pick_condition, roc_of, score_name
from pages.shared.charts import CONFIG

if TYPE_CHECKING:
    from core.evaluation.operating_points import Roc

PAPER = "mae_error"


def draw_roc(record: Record) -> None:
    """A curve a score for one attack, and the areas under all of them."""
    from core.evaluation.operating_points import JOINT

    condition = pick_condition("Attack", record.attacks, "roc-attack", "pgd 2/255")
    if condition is None:
        return
    scores = (JOINT, *sorted(record.calibration.clean, key=lambda name: name == PAPER))
    curves = {f"{_own_name(score)}": roc_of(record, condition.name, score) for score in scores}
    st.plotly_chart(
        charts.roc_chart(curves),
        height=charts.HEIGHT,
        config=CONFIG,
        key="roc",
        alt=f"ROC curves of the detection scores under {condition_title(condition)}",
    )
    st.subheader("Area under the curve", anchor=False)
    areas = {entry: {score: roc_of(record, entry.name, score) for score in scores} for entry in record.attacks}
    rows = [
        {"Attack": condition_title(entry)} | {_own_name(score): _area(own[score]) for score in scores}
        for entry, own in areas.items()
    ]
    st.table(rows, hide_index=True)
    st.markdown(paper_sentence({condition_title(entry): own[PAPER] for entry, own in areas.items()}))
    draw_source(
        record,
        "All attacked scans count, whether or not the attack fooled the classifier.",
        "“All three together” multiplies all thresholds by one factor. They were not set in that way, so that its area "
        "may be smaller than that of the best score alone.",
    )


def _own_name(score: str) -> str:
    return f"{score_name(score)} (MedFedPure)" if score == PAPER else score_name(score)


def _area(curve: Roc) -> str:
    return f"{curve.auc:.3f} ({curve.interval[0]:.3f} to {curve.interval[1]:.3f})"


def paper_sentence(curves: dict[str, Roc]) -> str:
    """What the figures say about MedFedPure's score, whatever they say. `curves`: attack → its curve."""
    best = max(curves, key=lambda title: curves[title].auc)
    name, most = "MedFedPure’s score, the mean reconstruction error,", f"{curves[best].auc:.3f} ({best})"
    if curves[best].auc < 0.6:
        verdict = f"**{name} does not usefully separate attacked from clean scans here**"
    elif curves[best].auc < 0.8:
        verdict = f"**{name} separates attacked from clean scans poorly here**"
    else:
        verdict = f"{name} separates some attacked scans from clean ones here"
    return f"{verdict}: its largest area is {most}, and 0.5 is guessing."
