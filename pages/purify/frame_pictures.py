"""The pictures of one moment of a purification: the noise, the estimate, and what the step changed, all of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.purify.state import PurifyState
from pages.shared.pictures import GAINS, averaged

if TYPE_CHECKING:
    from core.trajectories.purification import Frame, PurificationTrajectory

WIDTH = 130
STEP_GAINS = (*GAINS, 50, 100)


def draw_pictures(state: PurifyState, trajectory: PurificationTrajectory, frame: Frame) -> None:
    """All three beside each other."""
    grid = st.grid(3, min_column_width=WIDTH, gap="small")
    for draw in (_draw_noisy, _draw_estimate, _draw_step):
        with grid.cell():
            draw(state, trajectory, frame)


def _draw_noisy(state: PurifyState, trajectory: PurificationTrajectory, frame: Frame) -> None:
    from core.explanation import overlays

    if frame.noisy is None:
        st.caption("No noise yet." if trajectory.frames[-1].noisy is not None else "This method adds no noise.")
        return
    picture = overlays.model_png(frame.noisy, state.before.frame.shape, state.scan.spacing)
    title, about = f"Noise, t = {frame.t}", f"Noisy image. {_whose(trajectory, frame)}"
    st.image(picture, title, "stretch", output_format="PNG", alt=about)


def _draw_estimate(state: PurifyState, trajectory: PurificationTrajectory, frame: Frame) -> None:
    from core.explanation import overlays

    name = "Input" if frame.step == 0 else "Estimate"
    picture = overlays.model_png(frame.estimate, state.before.frame.shape, state.scan.spacing)
    st.image(picture, name, "stretch", output_format="PNG", alt=f"{name}. {_whose(trajectory, frame)}")


def _draw_step(state: PurifyState, trajectory: PurificationTrajectory, frame: Frame) -> None:
    before = trajectory.before(frame)
    if before is None:
        st.caption("Nothing was changed yet.")
        return
    picture, gain = step_picture(state, before, frame)
    since = "the input" if before.step == 0 else f"step {before.step:,}"
    title, about = f"Change since {since}, × {gain}{averaged(frame.estimate)}", f"Change since {since}, {gain} times"
    st.image(picture, title, "stretch", output_format="PNG", alt=f"{about}. {_whose(trajectory, frame)}")


def step_picture(state: PurifyState, before: Frame, frame: Frame) -> tuple[bytes, int]:
    """What changed from one frame to another, amplified so that it can be seen, and how many times.

    One scale for all would leave late steps black: the first step changes most by far.
    """
    from core.explanation import overlays

    gain = overlays.visible_gain(before.estimate, frame.estimate, STEP_GAINS)
    shape, spacing = state.before.frame.shape, state.scan.spacing
    return overlays.residual_png(before.estimate, frame.estimate, 0.5 / gain, shape, spacing), gain


def _whose(trajectory: PurificationTrajectory, frame: Frame) -> str:
    return f"{in_short(trajectory.settings)}, step {frame.step}"
