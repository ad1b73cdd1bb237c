"""One scan before an attack, attacked, and after purification: the same cards in the same words on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from pages.shared.empty_states import draw_missing_models
from pages.shared.examinations import answer_of, attacked_otherwise, lacking
from pages.shared.regions.share import Asked, draw_share
from pages.shared.runtime import bundle
from pages.shared.words import PURIFIES_NOTHING, heading, number, percent, plain, said_of, score_words

if TYPE_CHECKING:
    import numpy as np

    from core import Detection, Examination, Prediction
    from pages.shared.session import Session

BEFORE, ATTACKED, PURIFIED = "Before the attack", "Attacked", "After purification"
NO_ANSWER, NOT_PURIFIED = "No answer", "Not purified"


class Stage(NamedTuple):
    """One of the three: its title, the classifier's answer, None where there is none, and what it was asked about."""

    title: str
    answer: Prediction | None
    pixels: np.ndarray | None


def stages(before: Examination, attacked: Examination) -> tuple[Stage, Stage, Stage]:
    """All three, by the results for the scan and for its attacked copy."""
    purified = attacked.purification
    return (
        Stage(BEFORE, answer_of(before), before.pixels),
        Stage(ATTACKED, attacked.undefended, attacked.pixels),
        Stage(PURIFIED, purified.answer if purified else None, purified.estimate if purified else None),
    )


def pictures(before: Examination, attacked: Examination) -> dict[str, np.ndarray]:
    """What can be compared of them, by the names that a comparison has room for."""
    known = zip(("Original", "Attacked", "Purified"), stages(before, attacked))
    return {name: stage.pixels for name, stage in known if stage.pixels is not None}


def in_short(before: Examination, attacked: Examination) -> dict[str, str]:
    """Title → answer, with what the detector said of the attacked scan where it was asked."""
    first, second, third = stages(before, attacked)
    words = {stage.title: _label(stage.answer) for stage in (first, second)}
    if attacked.detection:
        words["Detector"] = said_of(attacked.detection)
        words[third.title] = _label(third.answer) if third.answer or attacked.refused else NOT_PURIFIED
    return words


def sentence(before: Examination, attacked: Examination) -> str:
    """All of it in one sentence."""
    if attacked.undefended is None:
        return f"The attacked scan was refused: {plain(attacked.refused or '')}"
    label, detection = answer_of(before).label, attacked.detection
    first = "The attack turned the answer round" if attacked.undefended.label != label else "The answer withstood"
    if detection is None:
        return f"{first}, and there is no defence to ask."
    if detection.altered and not detection.flagged:
        second = "the detector found the scan altered, without alarm"
    else:
        second = "the detector flagged the scan" if detection.flagged else "the detector let it pass"
    if attacked.prediction is None:
        return f"{first}, {second}, and the scan was refused."
    return f"{first}, {second}, and the decision is {'still' if attacked.label == label else 'now'} “{attacked.label}”."


def draw_story(session: Session, before: Examination, attacked: Examination) -> list[Asked]:
    """Draw the three cards, or two where the bundle has no defence; what of them is still to be asked."""
    models, lacks, asked = bundle(attacked.bundle), lacking(session), []
    label = answer_of(before).label
    grid = st.container(key="story").grid(3, min_column_width=240)
    for stage in stages(before, attacked):
        if lacks and stage.title == PURIFIED:
            with grid.cell():
                draw_missing_models(models, lacks)
            continue
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"**{stage.title}**")
            _draw_answer(stage, attacked, label)
            if stage.title == PURIFIED:
                _draw_decision(attacked)
            else:
                _draw_detector((before if stage.title == BEFORE else attacked).detection)
            if stage.answer and stage.pixels is not None:
                asked += draw_share(session, stage.pixels, stage.answer.classifier)
    return asked


def draw_other_aim(session: Session) -> None:
    """Say it where the open copy was made to deceive another classifier than the one that is asked."""
    if whom := attacked_otherwise(session):
        now = bundle(session.bundle).classifier_name(session.classifier)
        st.caption(f"This copy was attacked to deceive {plain(whom)}, and not {plain(now)}, which is asked here.")


def _draw_answer(stage: Stage, attacked: Examination, label: str) -> None:
    answer = stage.answer
    if answer is None:
        refused = bool(attacked.refused)
        st.subheader(NO_ANSWER if refused else NOT_PURIFIED, anchor=False)
        why = PURIFIES_NOTHING if attacked.left_alone else "The detector gave no reason to."
        st.markdown(plain(attacked.refused or why))
        return
    st.subheader(heading(answer.label), anchor=False)
    st.markdown(percent(answer.confidence))
    if stage.title == BEFORE:
        return
    if answer.label == label:
        st.badge("As before the attack", icon=":material/check_circle:", color="green")
    else:
        st.badge(f"Was “{label}”", icon=":material/swap_horiz:", color="orange")


def _draw_detector(detection: Detection | None) -> None:
    if detection is None:
        return
    icon = ":material/warning:" if detection.flagged else ":material/blur_on:" if detection.altered else ""
    name, ratio = strongest(detection)
    about = f"{score_words(name).name}: {number(ratio)} × its threshold"
    st.markdown(f"Detector: **{said_of(detection)}** {icon}  \n{about}")


def _draw_decision(attacked: Examination) -> None:
    if attacked.prediction is None:
        return
    purified = attacked.purification
    if purified is None:
        st.markdown("Decision: the attacked scan’s own answer")
    elif attacked.kept_borderline:
        st.markdown("Decision: the attacked scan’s own answer, as it is **borderline**")
    else:
        who = purified.answer.classifier
        by = f", and put to {plain(who)}" if who != answer_of(attacked).classifier else ""
        about = f"Purified by the defence, with noise up to t\\* = {purified.t_star}{by}"
        st.markdown(f"Decision: **this answer**  \n{about}")


def strongest(detection: Detection) -> tuple[str, float]:
    """The score that stands highest against its threshold, and how many times that: so any can be compared."""
    ratios = {name: detection.scores[name] / limit for name, limit in detection.thresholds.items()}
    name = max(ratios, key=ratios.__getitem__)
    return name, ratios[name]


def _label(answer: Prediction | None) -> str:
    return heading(answer.label) if answer else NO_ANSWER
