"""Examine: one scan, one decision, and the evidence it rests on."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.examine import about, certificate, decision, picture, region, score_charts, series, study
from pages.shared import pictures
from pages.shared.empty_states import draw_problem, draw_start
from pages.shared.errors import end_page
from pages.shared.examinations import examination, models_in_force, reliability_of, target_examination
from pages.shared.regions import region_state
from pages.shared.regions.share import answer_shares
from pages.shared.runtime import wait_until_ready
from pages.shared.session import current_session
from pages.shared.settings.defence import draw_settings
from pages.shared.settings.scan import draw_window
from pages.shared.tours import draw_tour
from pages.shared.tours.places import EXAMINE


def section(title: str, part: str) -> DeltaGenerator:
    """A part of the page under its heading, which a tour may point at."""
    container = st.container(key=f"part-{part}")
    container.header(title, anchor=False)
    return container


session = current_session()
wait_until_ready()
draw_problem(session)
if session.scan is None:
    draw_start("Examine")
    end_page()

draw_tour(session, EXAMINE)
models, scan = models_in_force(session), session.scan
about.draw_title(scan)
study.draw_study(session, scan)
halves = st.grid(2, min_column_width=400, gap="medium")
with halves.cell():
    viewer = st.container()
    with st.expander("Window, seed and classifier", icon=":material/tune:"):
        draw_window(session, scan)
        draw_settings(session, models)
with viewer.container(key="picture"):
    known = session.examination if session.examined == session.choices() else None
    map_is_missing = picture.draw_scan(session, scan, known, models)
    sources = st.container()
with halves.cell():
    exam = examination(session)
    before = target_examination(session) if session.origin else None
    asked = decision.draw_decision(session, exam, models, before.undefended if before else None)
# Not before: the slice that was asked for goes first.
if series.begin_series(session, scan) or map_is_missing:
    st.rerun()

with sources:
    region.draw_sources(session, scan, exam)
if region_state(session).regions:
    st.header("In the region of interest", anchor=False)
    region.draw_region(session, scan, exam, before)
if exam.detection:
    name = models.classifier_name(session.classifier)
    with section("The evidence", "evidence"):
        blind = reliability_of(models, name).blind if name in models.calibrations else frozenset()
        score_charts.draw_scores(exam.detection, models, name, blind)
if before:
    with section("What the attack changed", "attack"):
        pictures.draw_attack(before, exam, scan)
        pictures.draw_added({"Original": before, "Attacked": exam}, scan)
if exam.detection and not exam.refused:
    with section("What purification changed", "purification"):
        if exam.purification:
            pictures.draw_purification(exam, scan)
            if exam.kept_borderline:
                st.markdown("The answer is borderline and stands, so the decision doesn’t rest on this estimate.")
        elif exam.left_alone:
            st.markdown("Nothing: under the hardened policy the classifier is given every scan as it is.")
        else:
            found = "not flagged" if exam.detection.altered is None else "neither flagged nor altered"
            st.markdown(f"Nothing: the scan was {found}, so the classifier was given it as it is.")
certificate.draw_certificate(session, exam)
with section("About this scan", "about"):
    about.draw_about(scan, models)
# Only now: the answer and its evidence don't wait for it.
answer_shares(session, asked)
