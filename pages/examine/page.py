"""Examine: one scan, one decision, and the evidence it rests on."""

import streamlit as st

from pages.examine import about, decision, score_charts
from pages.shared import pictures
from pages.shared import scan_settings as settings
from pages.shared.empty_states import draw_problem, draw_start
from pages.shared.examinations import examination, target_examination
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import current_session
from pages.shared.tours import draw_tour
from pages.shared.tours.steps import EXAMINE


def section(title: str, focus: str, current: str | None) -> None:
    """A heading; where the tour points at this part, it says so."""
    st.header(title, anchor=False)
    if focus == current:
        st.badge("The tour is here", icon=":material/tour:", color="blue")


session = current_session()
wait_until_ready()
draw_problem(session)
if session.scan is None:
    draw_start("Examine")
    st.stop()

focus = draw_tour(session, EXAMINE)
models, scan = bundle(session.bundle), session.scan
about.draw_title(scan)
halves = st.grid(2, min_column_width=400, gap="medium")
with halves.cell():
    picture = st.container()
    settings.draw_slice(session, scan)
    with st.expander("Window, seed and classifier", icon=":material/tune:"):
        settings.draw_window(session, scan)
        settings.draw_settings(session, models)
with halves.cell():
    exam = examination(session)
    before = target_examination(session) if session.origin else None
    decision.draw_decision(exam, models, before.undefended if before else None)
with picture:
    pictures.draw_scan(exam, scan)

if exam.detection:
    section("The evidence", "evidence", focus)
    score_charts.draw_scores(exam.detection, models, models.classifier_name(session.classifier))
if before:
    section("What the attack changed", "attack", focus)
    pictures.draw_attack(before, exam, scan)
if exam.detection and not exam.refused:
    section("What purification changed", "purification", focus)
    if exam.purification:
        pictures.draw_purification(exam, scan)
        if exam.kept_borderline:
            st.markdown("The answer is borderline and stands, so the decision doesn’t rest on this estimate.")
    else:
        st.markdown("Nothing: the scan was not flagged, so the classifier was given it as it is.")
section("About this scan", "about", focus)
about.draw_about(scan, models)
