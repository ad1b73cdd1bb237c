"""What came of an attack: the answers before and after, what the detector said, and how far the scan was moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.attack.state import AttackRun, Outcome
from pages.shared import pictures
from pages.shared.downloads import draw_scan_downloads, scan_stem
from pages.shared.empty_states import draw_missing_models
from pages.shared.runtime import bundle
from pages.shared.session import current_session
from pages.shared.words import decibels, heading, number, percent, plain, score_words

if TYPE_CHECKING:
    from core import Detection, Examination, Prediction


def draw_verdict(attack_run: AttackRun, outcome: Outcome) -> None:
    """Three cards: the undefended answer, the detector's verdict, the defended answer; one where that is all."""
    exam, models = outcome.examination, bundle(outcome.examination.bundle)
    with st.container(key="verdict"):
        grid = st.grid(3, min_column_width=150)
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown("Undefended answer")
            _draw_answer(exam.undefended, attack_run)
        if models.lacks:
            with grid.cell(column_span=2):
                draw_missing_models(models)
            return
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown("Detector’s verdict")
            _draw_detector(exam.detection)
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown("Defended answer")
            if exam.prediction is None:
                _draw_refusal(exam)
            else:
                _draw_answer(exam.prediction, attack_run)
                if exam.kept_borderline:
                    st.caption("Borderline: the scan’s own answer stands.")


def summary(attack_run: AttackRun, exam: Examination) -> str:
    """The verdict in one sentence."""
    if exam.undefended is None:
        return f"The attacked scan was refused: {plain(exam.refused or '')}"
    fooled, flagged = exam.undefended.label != attack_run.label, bool(exam.detection and exam.detection.flagged)
    first = "The classifier alone was fooled" if fooled else "The classifier alone stood"
    if exam.detection is None:
        return f"{first}, and there is no defence to ask."
    second = "the detector flagged the scan" if flagged else "the detector let it pass"
    if exam.prediction is None:
        third = "the scan was refused"
    else:
        third = f"the defended answer is {'still' if exam.label == attack_run.label else 'now'} “{exam.label}”"
    return f"{first}, {second}, and {third}."


def _draw_answer(answer: Prediction | None, attack_run: AttackRun) -> None:
    if answer is None:
        st.subheader("No answer", anchor=False)
        return
    st.subheader(heading(answer.label), anchor=False)
    st.markdown(percent(answer.confidence))
    if answer.label == attack_run.label:
        st.badge("As before", icon=":material/check_circle:", color="green")
    else:
        st.badge(f"Was “{attack_run.label}”", icon=":material/swap_horiz:", color="orange")


def _draw_detector(detection: Detection | None) -> None:
    if detection is None:
        st.subheader("Not asked", anchor=False)
        return
    st.subheader("Flagged" if detection.flagged else "Not flagged", anchor=False)
    # Compared with their thresholds, scores of different kinds can stand side by side.
    ratios = {name: score / detection.thresholds[name] for name, score in detection.scores.items()}
    strongest = max(ratios, key=ratios.__getitem__)
    st.markdown(f"{score_words(strongest).name}: {number(ratios[strongest])} × its threshold")
    if detection.flagged:
        st.badge("Alarm", icon=":material/warning:", color="orange")
    else:
        st.badge("No alarm", icon=":material/check_circle:", color="gray")


def _draw_refusal(exam: Examination) -> None:
    st.subheader("No answer", anchor=False)
    st.markdown(plain(exam.refused or ""))
    st.badge("Refused", icon=":material/block:", color="gray")


def draw_change(attack_run: AttackRun, outcome: Outcome) -> None:
    """Original, attacked and difference, and four measures of it."""
    pictures.draw_change(attack_run.before, outcome.examination, attack_run.scan)
    distance = outcome.distance
    grid = st.grid(4, min_column_width=150)
    grid.metric("SSIM", f"{distance.ssim:.3f}", help="Structural similarity; 1 where nothing changed.", border=True)
    about_psnr = "Peak signal-to-noise ratio; the higher, the less changed."
    grid.metric("PSNR", decibels(distance.psnr), help=about_psnr, border=True)
    grid.metric("ℓ∞", f"{number(255 * distance.linf)}/255", help="The largest change of any pixel.", border=True)
    grid.metric("ℓ2", number(distance.l2), help="The length of the whole change; pixels run from 0 to 1.", border=True)


def draw_exits(attack_run: AttackRun, outcome: Outcome) -> bool:
    """The ways on: two files, and Examine; whether the visitor wants to go there."""
    with st.container(horizontal=True):
        wanted = st.button("Open in Examine", icon=":material/radiology:", type="primary", key="open-in-examine")
        stem = scan_stem(current_session(), attack_run.scan)
        draw_scan_downloads(outcome.dicom, outcome.png, f"{stem}-attacked", "download")
    st.caption(
        "Both files say that they were made by an attack, and hold no patient’s name. Purescan is not a medical device."
    )
    return wanted
