"""The decision card: what the answer is, how sure, and why the scan was flagged, not flagged, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import streamlit as st

from pages.examine.sentences import draw_sentences
from pages.shared.examinations import reliability_of
from pages.shared.regions import region_here
from pages.shared.regions.share import Asked, draw_share
from pages.shared.story.cards import ATTACKED, BEFORE, PURIFIED
from pages.shared.words import heading, names_of, number, percent, plain, score_words, standing, timings

if TYPE_CHECKING:
    from core import Bundle, Detection, Examination, Prediction
    from core.evaluation.reliability import Reliability
    from pages.shared.session import Session

GIVEN = "As it was given"
LEAST_WIDTH, LETTER_WIDTH, PADDING = 120, 11, 36  # px, of an answer's cell; a letter's as in a subheader
OFFER = "Outline a region in the viewer, and how much of the answer rests on it stands here."


def draw_decision(session: Session, exam: Examination, bundle: Bundle, before: Prediction | None) -> list[Asked]:
    """Draw the card; what is still to be asked for it.

    `before` is the answer to the scan before it was attacked, where that is known.
    """
    asked: list[Asked] = []
    classifier = exam.undefended.classifier if exam.undefended else bundle.classifier_name(session.classifier)
    known = reliability_of(bundle, classifier) if classifier in bundle.calibrations else None
    with st.container(border=True, key="decision"):
        if session.scan and session.scan.frame_count > 1:
            # The viewer may have been turned to another.
            st.caption(f"Slice {exam.frame_index + 1} of {session.scan.frame_count}")
        if exam.prediction is None:
            _draw_refused(exam)
        else:
            _draw_answer(exam)
            asked = draw_share(session, exam.decided_on, exam.prediction.classifier)
            if region_here(session) is None:
                st.caption(OFFER)
            _draw_answers(exam, before)
        draw_sentences(exam, bundle, known)
        if exam.detection:
            _draw_why(exam.detection, known, exam.prediction is None)
        st.caption(f"Classifier {classifier} · seed {exam.seed} · {timings(exam.seconds)}")
    return asked


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
        # Nothing stands here where nothing was found: a badge of approval would seem to be the answer's.
        if exam.detection is None:
            st.badge("Not checked for manipulation", icon=":material/help:", color="gray")
        elif exam.detection.flagged:
            st.badge("Flagged: may have been manipulated", icon=":material/warning:", color="orange")
        elif exam.detection.altered:
            st.badge("Altered, no alarm", icon=":material/blur_on:", color="gray")
        if exam.kept_borderline:
            st.badge("Borderline answer", icon=":material/balance:", color="orange")
    st.title(heading(prediction.label), anchor=False)
    source = "on the purified estimate" if exam.purification and not exam.kept_borderline else "on the scan as it is"
    share = min(1.0, max(0.0, prediction.confidence))
    st.progress(share, f"**{percent(prediction.confidence)}** confidence, {source}")


def _draw_answers(exam: Examination, before: Prediction | None) -> None:
    """The answers side by side, where there is more than one."""
    answers = {BEFORE: before, ATTACKED if before else GIVEN: exam.undefended}
    if exam.purification:
        answers[PURIFIED] = exam.purification.answer
    known = {title: answer for title, answer in answers.items() if answer}
    if len(known) < 2:
        return
    grid = st.grid(len(known), min_column_width=least_width([answer.label for answer in known.values()]))
    for title, answer in known.items():
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(title)
            st.subheader(heading(answer.label), anchor=False)
            st.markdown(percent(answer.confidence))
    if exam.purification and exam.undefended and exam.prediction:
        if exam.kept_borderline:
            st.markdown(_borderline_words(exam.purification.answer, exam.prediction))
        elif exam.undefended.label == exam.prediction.label:
            st.markdown("Both answers agree: purification did not change the decision.")
        else:
            st.markdown("**The answers differ.** The one after purification decides; read it with the evidence below.")
        robust = exam.purification.answer.classifier
        if robust != exam.undefended.classifier:
            st.markdown(
                f"The purified estimate was put to another classifier, **{plain(robust)}**, which learned under attack."
            )


def least_width(labels: Iterable[str]) -> int:
    """How wide, in px, a cell has to be for the longest word of the labels to stand on one line."""
    longest = max((len(word) for label in labels for word in label.split()), default=0)
    return max(LEAST_WIDTH, LETTER_WIDTH * longest + PADDING)


def _borderline_words(purified: Prediction, decision: Prediction) -> str:
    if purified.label == decision.label:
        return "**Borderline**, and the purified estimate gives the same answer."
    return (
        f"**Borderline: don’t rely on this answer alone.** The purified estimate gives “{purified.label}”, but "
        "purification may turn an answer as unsure as this even where nobody attacked; so the scan’s own answer stands."
    )


def _draw_why(detection: Detection, known: Reliability | None, refused: bool) -> None:
    """Each score and where it stands; what raised the alarm comes first, and what tells nothing last."""
    blind = known.blind if known else frozenset[str]()
    if refused:
        st.markdown("**What the detector measured**, for the record:")
    elif detection.flagged:
        verb = "is" if len(detection.flagged_by) == 1 else "are"
        st.markdown(f"**Why flagged:** {names_of(detection.flagged_by)} {verb} above the threshold.")
    elif detection.altered:
        verb = "is" if len(detection.altered_by) == 1 else "are"
        st.markdown(f"**Why altered:** {names_of(detection.altered_by)} {verb} above the threshold.")
    else:
        st.markdown("**Why not flagged:** every score that has a threshold is below it.")
    found = (*detection.flagged_by, *detection.altered_by)
    first = [name for name in detection.scores if name in found]
    first.sort(key=found.index)
    rest = [name for name in detection.scores if name not in found]
    rest.sort(key=lambda name: name in blind or name not in detection.thresholds)
    with st.expander("Every score, and where it stands among clean scans", icon=":material/straighten:"):
        st.markdown("\n".join(f"- {_score_line(detection, name, known)}" for name in (*first, *rest)))


def _score_line(detection: Detection, name: str, known: Reliability | None) -> str:
    title = score_words(name).name
    stands = standing(detection.percentiles[name], known.count) if known else "as fitted on your scans"
    if name in detection.flagged_by:
        return f"**{title}**: :orange[:material/warning:] above, {stands}"
    if name in detection.altered_by:
        return f"**{title}**: :material/blur_on: above, {stands}"
    if known and name in known.blind:
        return f":gray[{title}: doesn’t tell attacked from clean scans here, and is shown for the record; {stands}]"
    if name not in detection.thresholds:
        return f":gray[{title}: has no threshold, decides nothing, and is shown for the record; {stands}]"
    return f"**{title}**: :material/check: below, {stands}"
