"""Detect: what the detector measures, how well that tells attacked scans from clean ones, and what it costs."""

from __future__ import annotations

import streamlit as st

from pages.components import detector_evidence, detector_price, detector_roc, detector_tables, detector_trials
from pages.components.detector_record import open_record
from pages.components.engine import bundle, wait_until_ready
from pages.components.examining import examination
from pages.components.lacking import draw_lacking
from pages.components.start import draw_problem
from pages.components.state import Visit, current_visit
from pages.components.tour_steps import DETECT
from pages.components.tours import draw_tour

SCAN, SCORES, THRESHOLDS, ROC = "This scan", "Scores", "Thresholds", "ROC"
STRESS, BENIGN, RECOMPUTE = "Stress", "Benign changes", "Recompute"
SECTIONS = (SCAN, SCORES, THRESHOLDS, ROC, STRESS, BENIGN, RECOMPUTE)


def draw_scan(visit: Visit) -> None:
    """The evidence in the scan on the table."""
    if visit.scan is None:
        st.info(
            "Choose a sample or upload a scan in the sidebar to see its evidence. The other sections need no scan.",
            icon=":material/info:",
        )
        return
    detector_evidence.draw_evidence(examination(visit), visit.scan, bundle(visit.bundle))


def draw_section(visit: Visit, section: str) -> None:
    """The section that is looked at; the others cost nothing."""
    models = bundle(visit.bundle)
    classifier = models.classifier_name(visit.classifier)
    trials = detector_trials.current_trials(visit, classifier)
    if section == SCAN:
        draw_scan(visit)
        return
    if section == RECOMPUTE:
        detector_trials.draw_trials(visit, classifier, trials)
        return
    record = open_record(models, classifier)
    if section == SCORES:
        detector_tables.draw_scatter(record, examination(visit).detection if visit.scan else None)
    elif section == THRESHOLDS:
        detector_price.draw_thresholds(record)
    elif section == ROC:
        detector_roc.draw_roc(record)
    elif section == STRESS:
        detector_tables.draw_stress(record)
    else:
        detector_tables.draw_benign(record)


visit = current_visit()
wait_until_ready()
draw_problem(visit)
draw_tour(visit, DETECT)
st.title("Judge the detector", anchor=False)
if bundle(visit.bundle).lacks:
    draw_lacking(bundle(visit.bundle))
    st.stop()
section = st.segmented_control(
    "Section", SECTIONS, default=SCAN, required=True, key="detect-section", label_visibility="collapsed",
    persist_state="session",
)  # fmt: skip
draw_section(visit, section or SCAN)
