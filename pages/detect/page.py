"""Detect: what the detector measures, how well that tells attacked scans from clean ones, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect.evidence import draw_evidence
from pages.detect.operating_point import draw_thresholds
from pages.detect.record import open_record
from pages.detect.roc import draw_roc
from pages.detect.scatter import draw_scatter
from pages.detect.site import draw_site
from pages.detect.tables import draw_benign, draw_stress
from pages.detect.trials import TrialsState, current_trials, draw_trials
from pages.detect.white_box import draw_white_box
from pages.shared.empty_states import draw_missing_models, draw_problem
from pages.shared.errors import end_page
from pages.shared.examinations import (
    examination,
    lacking,
    models_in_force,
    profile_in_force,
    target_examination,
)
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.tours import draw_tour
from pages.shared.tours.places import DETECT
from pages.shared.visit.sections import choose, choose_asked, note_section
from pages.shared.visit.stage import lay_stage, say
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Bundle, Detection

SCAN, RECORDED, NOW = "This scan", "Recorded studies", "Measured now"
SCORES, THRESHOLDS, ROC, STRESS, BENIGN = "Scores", "Thresholds", "ROC", "Stress", "Benign changes"
WHITE_BOX = "White box"
RECOMPUTE, SITE = "Recompute", "Your scanner"
NONE_YET = "No scan is chosen yet. **→** leads to what is recorded."
SECTIONS = {RECORDED: (SCORES, THRESHOLDS, ROC, STRESS, BENIGN, WHITE_BOX), NOW: (RECOMPUTE, SITE)}
PART, KEYS = "detect-part", {RECORDED: "detect-section", NOW: "detect-now"}


def draw_scan(session: Session) -> None:
    """The evidence in the scan that is open."""
    if session.scan is None:
        st.header("This scan: none chosen yet", anchor=False)
        say(NONE_YET)
        st.info(
            "Choose a sample or upload a scan in the sidebar to see its evidence. The other parts need no scan.",
            icon=":material/info:",
        )
        return
    st.header(f"This scan: {plain(session.scan.name)}", anchor=False)
    models = models_in_force(session)
    record = open_record(models, models.classifier_name(session.classifier))
    if lacks := lacking(session):
        draw_missing_models(models, lacks)
        return

    def draw_among(detection: Detection) -> None:
        draw_scatter(record, detection, profile_in_force(session))

    before = target_examination(session) if session.origin else None
    draw_evidence(examination(session), session.scan, models, draw_among if record.own else None, before)


def draw_recorded(session: Session, section: str) -> None:
    """A study of the bundle's calibration scans."""
    models = bundle(session.bundle)
    if section == WHITE_BOX:
        st.header("An attacker who knows the defence", anchor=False)
        draw_white_box(models)
        return
    record = open_record(models, models.classifier_name(session.classifier))
    st.header(f"{section}, recorded on {len(record.calibration.labels)} scans", anchor=False)
    if section == SCORES:
        draw_scatter(record, None, profile_in_force(session))
    elif section == THRESHOLDS:
        draw_thresholds(record)
    elif section == ROC:
        draw_roc(record)
    elif section == STRESS:
        draw_stress(record)
    else:
        draw_benign(record)


def draw_now(session: Session, section: str) -> None:
    """The detector on other scans, now: the samples, or those of the visitor's scanner."""
    models = bundle(session.bundle)
    classifier = models.classifier_name(session.classifier)
    if section == RECOMPUTE:
        st.header("On the sample scans, now", anchor=False)
        draw_trials(session, classifier, current_trials(session, classifier))
    else:
        st.header("On your scanner’s scans, now", anchor=False)
        draw_site(session, open_record(models, classifier))


def offered(models: Bundle, classifier: str) -> dict[str, tuple[str, ...]]:
    """The parts beside the scan, with their sections: of a classifier that was added nothing is recorded."""
    return {NOW: (SITE,)} if classifier in models.added else SECTIONS


session = current_session()
wait_until_ready()
draw_problem(session)
draw_tour(session, DETECT)
sections = offered(bundle(session.bundle), bundle(session.bundle).classifier_name(session.classifier))
within = {name: {PART: part, KEYS[part]: name} for part, names in sections.items() for name in names}
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Judge the detector", anchor=False, width="content")
    if not bundle(session.bundle).lacks:
        choose_asked("detect", {SCAN: {PART: SCAN}} | within)
        part = choose("Part", (SCAN, *sections), PART)
if bundle(session.bundle).lacks:
    draw_missing_models(bundle(session.bundle))
    end_page()
if part == SCAN:
    note_section("")
    lay_stage(session)
    draw_scan(session)
else:
    section = choose("Section", sections[part], KEYS[part])
    note_section(section)
    trials = session.state_of(TrialsState)
    lay_stage(session, running=section == RECOMPUTE and trials is not None and trials.running)
    draw_recorded(session, section) if part == RECORDED else draw_now(session, section)
