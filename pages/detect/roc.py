"""ROC: how well each score tells attacked from clean scans, the paper's beside ours."""

from __future__ import annotations

import streamlit as st

from pages.detect import charts
from pages.detect.findings import paper_sentence, roc_told
from pages.detect.record import ALTERED_WORDS, Record, draw_source, roc_of, score_name
from pages.shared.records import draw_finding
from pages.shared.records.figures import area_text, condition_title, pick_condition
from pages.shared.visit.stage import draw_chart

PAPER = "mae_error"


def draw_roc(record: Record) -> None:
    """A curve a score for one attack, and the areas under all of them."""
    from core.evaluation.operating_points import JOINT

    condition = pick_condition("Attack", record.attacks, "roc-attack", "pgd 2/255")
    if condition is None:
        return
    scores = (JOINT, *sorted(record.calibration.clean, key=lambda name: name == PAPER))
    altered = bool(record.bundle.limits[record.classifier].altered)
    names = {score: _own_name(score, altered) for score in scores}
    curves = {names[score]: roc_of(record, condition.name, score) for score in scores}
    areas = {entry: {score: roc_of(record, entry.name, score) for score in scores} for entry in record.attacks}
    draw_finding(roc_told(curves, condition_title(condition)))
    draw_chart(
        charts.roc_chart(curves),
        charts.HEIGHT,
        key="roc",
        alt=f"ROC curves of the detection scores under {condition_title(condition)}",
    )
    rows = [
        {"Attack": condition_title(entry)} | {names[score]: area_text(own[score]) for score in scores}
        for entry, own in areas.items()
    ]
    st.markdown(paper_sentence({condition_title(entry): own[PAPER] for entry, own in areas.items()}))
    with st.expander("Areas under the curves, attack by attack", icon=":material/table:"):
        st.table(rows, hide_index=True)
    draw_source(
        record,
        "All attacked scans count, whether or not the attack fooled the classifier.",
        f"“{names[JOINT]}” multiplies all its thresholds by one factor. They were not set in that way, so that its "
        "area may be smaller than that of the best score alone.",
        shown=[entry.name for entry in record.attacks],
    )


def _own_name(score: str, altered: bool) -> str:
    from core.evaluation.operating_points import JOINT

    if score == JOINT and altered:
        return ALTERED_WORDS
    return f"{score_name(score)} (MedFedPure)" if score == PAPER else score_name(score)
