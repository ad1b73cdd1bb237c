"""Examine: one scan, one decision, and the evidence it rests on."""

import streamlit as st

from pages.components import about, charts, decision, pictures, settings
from pages.components.engine import bundle, wait_until_ready
from pages.components.examining import examination, target_examination
from pages.components.start import draw_problem, draw_start
from pages.components.state import current_visit
from pages.components.tour_steps import EXAMINE
from pages.components.tours import draw_tour


def section(title: str, focus: str, current: str | None) -> None:
    """A heading; where the tour points at this part, it says so."""
    st.header(title, anchor=False)
    if focus == current:
        st.badge("The tour is here", icon=":material/tour:", color="blue")


visit = current_visit()
wait_until_ready()
draw_problem(visit)
if visit.scan is None:
    draw_start("Examine")
    st.stop()

focus = draw_tour(visit, EXAMINE)
models, scan = bundle(visit.bundle), visit.scan
about.draw_title(scan)
halves = st.grid(2, min_column_width=400, gap="medium")
with halves.cell():
    picture = st.container()
    settings.draw_slice(visit, scan)
    with st.expander("Window, seed and classifier", icon=":material/tune:"):
        settings.draw_window(visit, scan)
        settings.draw_settings(visit, models)
with halves.cell():
    exam = examination(visit)
    before = target_examination(visit) if visit.origin else None
    decision.draw_decision(exam, models, before.undefended if before else None)
with picture:
    pictures.draw_scan(exam, scan)

if exam.detection:
    section("The evidence", "evidence", focus)
    charts.draw_scores(exam.detection, models, models.classifier_name(visit.classifier))
if before:
    section("What the attack changed", "attack", focus)
    pictures.draw_attack(before, exam, scan)
if exam.detection and not exam.refused:
    section("What purification changed", "purification", focus)
    if exam.purification:
        pictures.draw_purification(exam, scan)
        if exam.stands:
            st.markdown("The answer is borderline and stands, so the decision doesn’t rest on this estimate.")
    else:
        st.markdown("Nothing: the scan was not flagged, so the classifier was given it as it is.")
section("About this scan", "about", focus)
about.draw_about(scan, models)
