"""Each method step by step: a few of its frames in a row, with the answer under each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.purify.state import PurifyState
from pages.shared.words import counted, heading, percent, plain

if TYPE_CHECKING:
    from core.trajectories.purification import Frame, PurificationTrajectory

MOST_FRAMES = 12
ROW = 6


def summary(trajectory: PurificationTrajectory) -> str:
    """What came of a method, in one sentence."""
    first, last, turn = trajectory.frames[0].prediction, trajectory.frames[-1].prediction, trajectory.turn()
    answer = f"“{plain(last.label)}” ({percent(last.confidence)})"
    if turn is None and trajectory.wanted in (None, first.label):
        return f"the answer stays {answer}."
    if turn is None:
        return f"the answer stays {answer}; the clean scan’s “{plain(trajectory.wanted)}” does not come back."
    # Of a long run not every step was kept, and asked about.
    where = f"{'at' if len(trajectory.frames) > trajectory.steps else 'by'} step {turn.step:,} of {trajectory.total:,}"
    if trajectory.wanted is None:
        return f"the answer turns from “{plain(first.label)}” to {answer} {where}."
    if trajectory.wanted == last.label == first.label:
        return f"the answer strays on the way, and ends as it began, {answer}."
    if trajectory.wanted == last.label:
        return f"the diagnosis comes back {where}: {answer}."
    return f"the answer turns {where}, away from that of the clean scan, to {answer}."


def draw_trajectories(state: PurifyState) -> None:
    """One row of frames a method, and what came of it in a sentence."""
    for place, trajectory in enumerate(state.trajectories):
        shown, kept = trajectory.sampled(MOST_FRAMES), len(trajectory.frames)
        if len(shown) < 2:
            continue
        st.markdown(f"**{plain(in_short(trajectory.settings))}:** {summary(trajectory)}")
        grid = st.grid(max(ROW, len(shown)), min_column_width=92, gap="small")
        for frame in shown:
            with grid.cell():
                _draw_frame(state, place, trajectory, frame)
        if kept > len(shown):
            st.caption(f"{len(shown) - 1} of {counted(trajectory.steps)}; the slider above has {kept - 1} of them.")
    st.caption(f"{counted(state.job.count)} in {state.job.seconds:.1f} s of computing.")


def _draw_frame(state: PurifyState, place: int, trajectory: PurificationTrajectory, frame: Frame) -> None:
    answer, name = frame.prediction, "Input" if frame.step == 0 else f"Step {frame.step:,}"
    st.image(_thumbnail(state, place, frame), width="stretch", alt=f"{in_short(trajectory.settings)}. {name}")
    share = percent(answer.confidence).replace(" ", "\u00a0")  # a per cent sign alone on a line is no number
    st.markdown(f"{name}  \n**{plain(heading(answer.label))}** {share}")
    if frame is trajectory.turn():
        text = "Comes back" if trajectory.wanted == answer.label else "Turns"
        st.badge(text, icon=":material/flag:", color="blue")


def _thumbnail(state: PurifyState, place: int, frame: Frame) -> bytes:
    from core.explanation import overlays

    key = (place, frame.step)
    if key not in state.thumbnails:
        shape, spacing = state.before.frame.shape, state.scan.spacing
        state.thumbnails[key] = overlays.thumbnail_png(frame.estimate, shape, spacing)
    return state.thumbnails[key]
