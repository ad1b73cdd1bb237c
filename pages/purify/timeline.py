"""The whole of it in one picture: the attack, the alarm, the noise, the estimate, and the answer that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from pages.purify import panels
from pages.purify.change import pick
from pages.purify.controls import in_short, title
from pages.purify.state import PurifyState
from pages.shared.examinations import answer_of
from pages.shared.story.cards import strongest
from pages.shared.story.climb import climb_of
from pages.shared.words import counted, heading, number, percent, plain, said_of, score_words

if TYPE_CHECKING:
    import numpy as np

    from core import Detection, Examination
    from core.trajectories.purification import PurificationTrajectory
    from pages.shared.session import Session
    from pages.shared.story.climb import Climb

TIMELINE = "Timeline"
UNATTACKED = (
    "This scan is not one that was attacked here, so there is no attack to tell of. Attack it on the Attack page, and "
    "purify the copy."
)
HATCHED = "Hatched: above the threshold, and another answer than before the attack."
NO_CLIMB = "How the attack went step by step is not known of this copy: the dashed line joins its two ends."


class Panel(NamedTuple):
    """One panel: the picture, and what it says to those who don't see it."""

    svg: str
    about: str


def draw_timeline(session: Session, state: PurifyState) -> None:
    """All five panels of one method, in the order in which it happened."""
    if state.reference is None:
        st.info(UNATTACKED, icon=":material/info:")
        return
    trajectory, climb = state.trajectories[pick(state, "timeline-method")], climb_of(session)
    with st.container(border=True, key="timeline"):
        grid = st.grid(5, min_column_width=150, gap="small")
        for panel in timeline(state, state.reference, trajectory, climb):
            with grid.cell():
                st.image(panel.svg, width="stretch", output_format="PNG", alt=panel.about)
    st.caption(f"{plain(in_short(trajectory.settings))}. {HATCHED} {'' if climb else NO_CLIMB}")


def timeline(
    state: PurifyState, reference: Examination, trajectory: PurificationTrajectory, climb: Climb
) -> tuple[Panel, ...]:
    """The attack, the alarm, the noise, the estimate, and the answer after it."""
    label = answer_of(reference).label
    return (
        _attack(reference, state.before, label, climb),
        _alarm(state.before.detection),
        _noise(state, trajectory),
        _estimate(state, trajectory),
        _answer(reference, trajectory, label),
    )


def _attack(reference: Examination, attacked: Examination, label: str, climb: Climb) -> Panel:
    ends = tuple(answer_of(exam).probabilities[label] for exam in (reference, attacked))
    points = climb if len(climb) > 1 else ((0, ends[0]), (1, ends[1]))
    first, last = _short(ends[0]), _short(ends[1])
    steps = counted(points[-1][0]) if len(climb) > 1 else "steps unknown"
    lines = ("probability of", f"“{label}”", f"over {steps}" if len(climb) > 1 else steps)
    body = panels.curve(points, (first, last), dashed=len(climb) < 2)
    about = (
        f"1 Attack. Probability of “{label}”: {percent(ends[0])} before, {percent(ends[1])} after the attack, {steps}."
    )
    return Panel(panels.panel("1  Attack", body, lines), about)


def _alarm(detection: Detection | None) -> Panel:
    if detection is None:
        return Panel(panels.panel("2  Not checked", panels.note(("no detector",)), ()), "2 Not checked: no detector.")
    name, ratio = strongest(detection)
    said = {"Altered, flagged": "Flagged", "Altered, not flagged": "Altered"}.get(
        said_of(detection), said_of(detection)
    )
    times = f"{number(ratio)} ×"
    lines = (score_words(name).name, "against its threshold")
    about = f"2 {said_of(detection)}. {score_words(name).name}: {number(ratio)} times its threshold."
    return Panel(panels.panel(f"2  {said}", panels.meter(ratio, times), lines), about)


def _noise(state: PurifyState, trajectory: PurificationTrajectory) -> Panel:
    frame = next((frame for frame in trajectory.frames if frame.noisy is not None), None)
    if frame is None or frame.noisy is None:
        words = ("This method", "adds no noise")
        return Panel(panels.panel("3  No noise", panels.note(words), ()), "3 No noise. This method adds none.")
    lines = (f"diffusion step {frame.t}", "over all of it")
    body = panels.picture(_png(state, frame.noisy))
    return Panel(panels.panel("3  Noise added", body, lines), f"3 Noise added, up to diffusion step {frame.t}.")


def _estimate(state: PurifyState, trajectory: PurificationTrajectory) -> Panel:
    last = trajectory.frames[-1]
    steps = f"{counted(trajectory.steps)} of {trajectory.total:,}" if trajectory.steps < trajectory.total else ""
    lines = (title(trajectory.settings.method), steps or f"after {counted(trajectory.steps)}")
    about = f"4 Estimate. {' '.join(lines)}."
    return Panel(panels.panel("4  Estimate", panels.picture(_png(state, last.estimate)), lines), about)


def _answer(reference: Examination, trajectory: PurificationTrajectory, label: str) -> Panel:
    attacked, last = trajectory.frames[0].prediction, trajectory.frames[-1].prediction
    answers = (answer_of(reference), attacked, last)
    shares = [answer.probabilities[label] for answer in answers]
    names = ("before", "attacked", "purified")
    drawn = [panels.Bar(name, share, answer.label != label) for name, share, answer in zip(names, shares, answers)]
    if last.label != label:
        said = "Not back"
    else:
        said = "Answer stayed" if attacked.label == label else "Answer back"
    told = ", ".join(f"{percent(share)} {name}" for name, share in zip(names, shares))
    body = panels.bars(drawn, [_short(share) for share in shares])
    lines = (f"“{heading(last.label)}”", f"{percent(last.confidence)} now")
    return Panel(panels.panel(f"5  {said}", body, lines), f"5 {said}. Probability of “{label}”: {told}.")


def _png(state: PurifyState, pixels: np.ndarray) -> bytes:
    from core.explanation import overlays

    return overlays.thumbnail_png(pixels, state.before.frame.shape, state.scan.spacing)


def _short(share: float) -> str:
    """A probability where there is little room; never a 0 or 100 that was only rounded to."""
    return "< 1 %" if share < 0.01 else "> 99 %" if share > 0.99 else f"{100 * share:.0f} %"
