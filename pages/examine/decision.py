"""The decision card: what the answer is, how sure, and why the scan was flagged, not flagged, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.words import heading, number, percent, plain, score_words, standing, timings

if TYPE_CHECKING:
    from core import Bundle, Detection, Examination, Prediction


def draw_decision(exam: Examination, bundle: Bundle, before: Prediction | None) -> None:
    """Draw the card. `before` is the answer to the scan before it was attacked, where that is known."""
    classifier = exam.undefended.classifier if exam.undefended else bundle.default_classifier
    with st.container(border=True, key="decision"):
        if exam.prediction is None:
            _draw_refused(exam)
        else:
            _draw_answer(exam)
            _draw_answers(exam, before)
        if exam.prediction and exam.detection is None:
            st.info(plain(bundle.lacks or ""), icon=":material/info:")
        if exam.detection:
            _draw_why(exam.detection, len(bundle.calibrations[classifier].groups), exam.prediction is None)
        st.caption(f"Classifier {classifier} · seed {exam.seed} · {timings(exam.seconds)}")


def _draw_refused(exam: Examination) -> None:
    st.badge("Refused", icon=":material/block:", color="gray")
    st.title("No answer", anchor=False)
    st.markdown(plain(exam.refused or ""))
    if exam.scope_distance is not None and exam.scope_limit is not None:
        st.markdown(
            f"Distance to the nearest scan that the models learned from: **{number(exam.scope_distance)}**; "
            f"accepted up to **{number(exam.scope_limit)}**."
        )


def _draw_answer(exam: Examination) -> None:
    prediction = exam.prediction
    assert prediction
    with st.container(horizontal=True):
        if exam.detection is None:
            st.badge("Not checked for manipulation", icon=":material/help:", color="gray")
        elif exam.detection.flagged:
            st.badge("Flagged: may have been manipulated", icon=":material/warning:", color="orange")
        else:
            st.badge("Not flagged", icon=":material/check_circle:", color="green")
        if exam.kept_borderline:
            st.badge("Borderline answer", icon=":material/balance:", color="orange")
    st.title(heading(prediction.label), anchor=False)
    source = "on the purified estimate" if exam.purification and not exam.kept_borderline else "on the scan as it is"
    share = min(1.0, max(0.0, prediction.confidence))
    st.progress(share, f"**{percent(prediction.confidence)}** confidence, {source}")


def _draw_answers(exam: Examination, before: Prediction | None) -> None:
    """The answers side by side, where there is more than one."""
    answers = {"Original": before, "Undefended": exam.undefended}
    answers |= {"Purified": exam.purification.answer} if exam.kept_borderline else {}
    answers |= {"Defended": exam.prediction} if exam.purification else {}
    known = {title: answer for title, answer in answers.items() if answer}
    if len(known) < 2:
        return
    grid = st.grid(len(known), min_column_width=120)
    for title, answer in known.items():
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(title)
            st.subheader(heading(answer.label), anchor=False)
            st.markdown(percent(answer.confidence))
    if exam.purification and exam.undefended and exam.prediction:
        if exam.kept_borderline:
            st.markdown(_borderline_words(exam.purification.answer, exam.prediction))
        elif exam.undefended.label == exam.prediction.label:
            st.markdown("Undefended and defended answer agree: purification did not change the decision.")
        else:
            st.markdown("**The answers differ.** The defended one is the decision; read it with the evidence below.")


def _borderline_words(purified: Prediction, decision: Prediction) -> str:
    if purified.label == decision.label:
        return "**Borderline**, and the purified estimate gives the same answer."
    return (
        f"**Borderline: don’t rely on this answer alone.** The purified estimate gives “{purified.label}”, but "
        "purification may turn an answer as unsure as this even where nobody attacked; so the scan’s own answer stands."
    )


def _draw_why(detection: Detection, count: int, refused: bool) -> None:
    if refused:
        st.markdown("**What the detector measured**, for the record:")
    elif detection.flagged:
        names = " and ".join(score_words(name).name.lower() for name in detection.flagged_by)
        verb = "is" if len(detection.flagged_by) == 1 else "are"
        st.markdown(f"**Why flagged:** {names} {verb} above the threshold.")
    else:
        st.markdown("**Why not flagged:** every score is below its threshold.")
    lines = []
    for name, percentile in detection.percentiles.items():
        above = name in detection.flagged_by
        mark = ":orange[:material/warning:] above," if above else ":green[:material/check:] below,"
        lines.append(f"- **{score_words(name).name}**: {mark} {standing(percentile, count)}")
    st.markdown("\n".join(lines))
