"""Each method step by step: a few of its frames in a row, each with what it changed and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.purify.frame_pictures import step_picture
from pages.purify.state import PurifyState
from pages.shared.words import counted, heading, percent, plain

if TYPE_CHECKING:
    from core.trajectories.purification import Frame, PurificationTrajectory

MOST_FRAMES = 12
ROW = 6
CHANGES = (
    "Below each frame: what changed since the frame before it, darker in blue and brighter in red, each amplified so "
    "that it can be seen."
)


def summary(trajectory: PurificationTrajectory) -> str:
    """What came of a method, in one sentence."""
    first, last, turn = trajectory.frames[0].prediction, trajectory.frames[-1].prediction, trajectory.turn()
    answer = f"“{plain(last.label)}” ({percent(last.confidence)})"
    wanted = trajectory.wanted
    if turn is None and (wanted is None or wanted == first.label):
        return f"the answer stays {answer}."
    if turn is None:
        return f"the answer stays {answer}; the clean scan’s “{plain(wanted or '')}” does not come back."
    # Of a long run not every step was kept, and asked about.
    where = f"{'at' if len(trajectory.frames) > trajectory.steps else 'by'} step {turn.step:,} of {trajectory.total:,}"
    if wanted is None:
        return f"the answer turns from “{plain(first.label)}” to {answer} {where}."
    if wanted == last.label == first.label:
        return f"the answer strays on the way, and ends as it began, {answer}."
    if wanted == last.label:
        return f"the diagnosis comes back {where}: {answer}."
    return f"the answer turns {where}, away from that of the clean scan, to {answer}."


def decided(trajectory: PurificationTrajectory) -> str:
    """What the defence says of the estimate, where it asks another classifier than the one that the frames are of."""
    said = trajectory.defended
    if said is None:
        return ""
    return (
        f" The defence asks the classifier {plain(said.classifier)} about the estimate: “{plain(said.label)}” "
        f"({percent(said.confidence)})."
    )


def draw_trajectories(state: PurifyState) -> None:
    """One row of frames a method, and what came of it in a sentence."""
    for place, trajectory in enumerate(state.trajectories):
        shown, kept = trajectory.sampled(MOST_FRAMES), len(trajectory.frames)
        if len(shown) < 2:
            continue
        st.markdown(f"**{plain(in_short(trajectory.settings))}:** {summary(trajectory)}{decided(trajectory)}")
        grid = st.grid(max(ROW, len(shown)), min_column_width=92, gap="small")
        for before, frame in zip((None, *shown), shown):
            with grid.cell():
                _draw_frame(state, place, before, frame)
        if kept > len(shown):
            st.caption(f"{len(shown) - 1} of {counted(trajectory.steps)}; the slider above has {kept - 1} of them.")
    st.caption(CHANGES)
    st.caption(f"{counted(state.begun.count)} in {state.begun.seconds:.1f} s of computing.")


def _draw_frame(state: PurifyState, place: int, before: Frame | None, frame: Frame) -> None:
    trajectory = state.trajectories[place]
    answer, name = frame.prediction, "Input" if frame.step == 0 else f"Step {frame.step:,}"
    whose = f"{in_short(trajectory.settings)}. {name}"
    small, change = _thumbnails(state, place, before, frame)
    st.image(small, width="stretch", output_format="PNG", alt=whose)
    share = percent(answer.confidence).replace(" ", "\u00a0")  # a per cent sign alone on a line is no number
    st.markdown(f"{name}  \n**{plain(heading(answer.label))}** {share}")
    if frame is trajectory.turn():
        text = "Comes back" if trajectory.wanted == answer.label else "Turns"
        st.badge(text, icon=":material/flag:", color="blue")
    if change:
        st.image(change, width="stretch", output_format="PNG", alt=f"What changed since the frame before. {whose}")


def _thumbnails(state: PurifyState, place: int, before: Frame | None, frame: Frame) -> tuple[bytes, bytes | None]:
    """The frame in small, and what changed since the one shown before it."""
    from core.explanation import overlays

    key = (place, frame.step)
    if key not in state.thumbnails:
        small = overlays.thumbnail_png(frame.estimate, state.before.frame.shape, state.scan.spacing)
        state.thumbnails[key] = small, step_picture(state, before, frame)[0] if before else None
    return state.thumbnails[key]
