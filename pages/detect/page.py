"""Detect: what the detector measures, how well that tells attacked scans from clean ones, and what it costs."""

from __future__ import annotations

import streamlit as st

from pages.detect.evidence import draw_evidence
from pages.detect.operating_point import draw_thresholds
from pages.detect.record import open_record
from pages.detect.roc import draw_roc
from pages.detect.tables import draw_benign, draw_scatter, draw_stress
from pages.detect.trials import current_trials, draw_trials
from pages.shared.empty_states import draw_missing_models, draw_problem
from pages.shared.examinations import examination
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.tours import draw_tour
from pages.shared.tours.steps import DETECT

SCAN, SCORES, THRESHOLDS, ROC = "This scan", "Scores", "Thresholds", "ROC"
STRESS, BENIGN, RECOMPUTE = "Stress", "Benign changes", "Recompute"
SECTIONS = (SCAN, SCORES, THRESHOLDS, ROC, STRESS, BENIGN, RECOMPUTE)


def draw_scan(session: Session) -> None:
    """The evidence in the scan that is open."""
    if session.scan is None:
        st.info(
            "Choose a sample or upload a scan in the sidebar to see its evidence. The other sections need no scan.",
            icon=":material/info:",
        )
        return
    draw_evidence(examination(session), session.scan, bundle(session.bundle))


def draw_section(session: Session, section: str) -> None:
    """The section that is looked at; the others cost nothing."""
    models = bundle(session.bundle)
    classifier = models.classifier_name(session.classifier)
    trials = current_trials(session, classifier)
    if section == SCAN:
        draw_scan(session)
        return
    if section == RECOMPUTE:
        draw_trials(session, classifier, trials)
        return
    record = open_record(models, classifier)
    if section == SCORES:
        draw_scatter(record, examination(session).detection if session.scan else None)
    elif section == THRESHOLDS:
        draw_thresholds(record)
    elif section == ROC:
        draw_roc(record)
    elif section == STRESS:
        draw_stress(record)
    else:
        draw_benign(record)


session = current_session()
wait_until_ready()
draw_problem(session)
draw_tour(session, DETECT)
st.title("Judge the detector", anchor=False)
if bundle(session.bundle).lacks:
    draw_missing_models(bundle(session.bundle))
    st.stop()
section = st.segmented_control(
    "Section", SECTIONS, default=SCAN, required=True, key="detect-section", label_visibility="collapsed",
    persist_state="session",
)  # fmt: skip
draw_section(session, section or SCAN)
