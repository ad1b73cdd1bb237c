"""The filmstrips: a few frames of each method in a row, with the answer under each."""

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


def summary(strip: PurificationTrajectory) -> str:
    """What came of a method, in one sentence."""
    first, last, turn = strip.frames[0].prediction, strip.frames[-1].prediction, strip.turn()
    answer = f"“{plain(last.label)}” ({percent(last.confidence)})"
    if turn is None and strip.wanted in (None, first.label):
        return f"the answer stays {answer}."
    if turn is None:
        return f"the answer stays {answer}; the clean scan’s “{plain(strip.wanted)}” does not come back."
    # Of a long run not every step was kept, and asked about.
    where = f"{'at' if len(strip.frames) > strip.steps else 'by'} step {turn.step:,} of {strip.total:,}"
    if strip.wanted is None:
        return f"the answer turns from “{plain(first.label)}” to {answer} {where}."
    if strip.wanted == last.label == first.label:
        return f"the answer strays on the way, and ends as it began, {answer}."
    if strip.wanted == last.label:
        return f"the diagnosis comes back {where}: {answer}."
    return f"the answer turns {where}, away from that of the clean scan, to {answer}."


def draw_strips(state: PurifyState) -> None:
    """One strip a method, and what came of it in a sentence."""
    for place, strip in enumerate(state.strips):
        shown, kept = strip.sampled(MOST_FRAMES), len(strip.frames)
        if len(shown) < 2:
            continue
        st.markdown(f"**{plain(in_short(strip.settings))}:** {summary(strip)}")
        grid = st.grid(max(ROW, len(shown)), min_column_width=92, gap="small")
        for frame in shown:
            with grid.cell():
                _draw_frame(state, place, strip, frame)
        if kept > len(shown):
            st.caption(f"{len(shown) - 1} of {counted(strip.steps)}; the slider above has {kept - 1} of them.")
    st.caption(f"{counted(state.job.count)} in {state.job.seconds:.1f} s of computing.")


def _draw_frame(state: PurifyState, place: int, strip: PurificationTrajectory, frame: Frame) -> None:
    answer, name = frame.prediction, "Input" if frame.step == 0 else f"Step {frame.step:,}"
    st.image(_thumbnail(state, place, frame), width="stretch", alt=f"{in_short(strip.settings)}. {name}")
    share = percent(answer.confidence).replace(" ", "\u00a0")  # a per cent sign alone on a line is no number
    st.markdown(f"{name}  \n**{plain(heading(answer.label))}** {share}")
    if frame is strip.turn():
        text = "Comes back" if strip.wanted == answer.label else "Turns"
        st.badge(text, icon=":material/flag:", color="blue")


def _thumbnail(state: PurifyState, place: int, frame: Frame) -> bytes:
    from core.explanation import overlays

    key = (place, frame.step)
    if key not in state.thumbnails:
        shape, spacing = state.before.frame.shape, state.scan.spacing
        state.thumbnails[key] = overlays.thumbnail_png(frame.estimate, shape, spacing)
    return state.thumbnails[key]
