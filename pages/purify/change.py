"""What a method changed: the difference over the scan, where the classifier looked, how alike, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.purify.files import draw_files
from pages.purify.state import PurifyState, attributions_of
from pages.shared import pictures
from pages.shared.words import decibels, number, percent, plain

if TYPE_CHECKING:
    from core.fidelity.metrics import Distance
    from core.trajectories.purification import Frame, PurificationTrajectory

HONEST = (
    "The estimate is what the method holds to be likely, never the patient’s scan: fine detail in it may be made up, "
    "and detail of the scan may be missing."
)
UNKNOWN = (
    "The clean scan is not known here, so nobody can say how close the estimate comes to it: only how far it is from "
    "what was given, and, under “Seeds”, how much it hangs on the noise."
)


def pick(state: PurifyState, key: str) -> int:
    """Which of the methods."""
    places = range(len(state.trajectories))
    if len(places) == 1:
        return 0
    names = [plain(in_short(trajectory.settings)) for trajectory in state.trajectories]
    return st.segmented_control("Method", places, default=0, required=True, key=key, format_func=names.__getitem__) or 0


def draw_change(state: PurifyState) -> None:
    """Everything about one method's estimate."""
    place = pick(state, "change-method")
    trajectory = state.trajectories[place]
    last = trajectory.frames[-1]
    _draw_pictures(state, trajectory, last)
    _draw_distances(last)
    st.subheader("Where the classifier looked", anchor=False)
    _draw_gaze(state, place)
    st.subheader("Take the estimate along", anchor=False)
    draw_files(state, place)


def _draw_pictures(state: PurifyState, trajectory: PurificationTrajectory, last: Frame) -> None:
    from core.explanation import overlays

    shape, spacing = state.before.frame.shape, state.scan.spacing
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        gain = pictures.draw_gain("gain-purified", 5)
        over = st.toggle("Over the scan", True, key="change-over", persist_state="session")
    limit = 0.5 / gain
    grid = st.grid(3, min_column_width=140)
    for title, pixels in (("Input: what the classifier was given", trajectory.pixels), ("Estimate", last.estimate)):
        picture = overlays.model_png(pixels, shape, spacing)
        grid.image(picture, title, "stretch", alt=f"Scan {state.scan.name}. {title}")
    with grid.cell():
        if over:
            picture = overlays.signed_overlay_png(state.before.frame, trajectory.pixels, last.estimate, limit, spacing)
        else:
            picture = overlays.residual_png(trajectory.pixels, last.estimate, limit, shape, spacing)
        name = f"Change × {gain}{pictures.averaged(trajectory.pixels)}"
        st.image(picture, name, "stretch", alt=f"Change from input to estimate, {gain} times amplified")
        pictures.draw_legend(f"−{number(limit)} darker (blue)", f"brighter (red) +{number(limit)}", signed=True)
    st.markdown(HONEST)


def _draw_distances(last: Frame) -> None:
    _draw_row("Estimate against the input", last.to_input)
    if last.to_reference:
        _draw_row("Estimate against the clean scan", last.to_reference)
    else:
        st.markdown(UNKNOWN)


def _draw_row(title: str, distance: Distance) -> None:
    st.markdown(f"**{title}**")
    grid = st.grid(3, min_column_width=180)
    grid.metric("SSIM", f"{distance.ssim:.3f}", help="Structural similarity; 1 where nothing changed.", border=True)
    about = "Peak signal-to-noise ratio; the higher, the less changed."
    grid.metric("PSNR", decibels(distance.psnr), help=about, border=True)
    grid.metric("ℓ∞", f"{number(255 * distance.linf)}/255", help="The largest change of any pixel.", border=True)


def _draw_gaze(state: PurifyState, place: int) -> None:
    """What the answers rest on, input and estimate on one scale."""
    from core.explanation import overlays

    trajectory, shape = state.trajectories[place], state.before.frame.shape
    before, after = attributions_of(state, place)
    limit = max(overlays.map_limit(before), overlays.map_limit(after))
    grid = st.grid(2, min_column_width=200)
    for name, values, frame in (("input", before, trajectory.frames[0]), ("estimate", after, trajectory.frames[-1])):
        answer = frame.prediction
        title = f"On the {name}: “{answer.label}”, {percent(answer.confidence)}"
        native = overlays.at_native(frame.estimate, shape)
        picture = overlays.overlay_png(native, values, limit, 0.85, state.scan.spacing)
        grid.image(picture, title, "stretch", alt=f"Where the classifier looked. {title}")
    pictures.draw_legend("0", f"{number(limit)} log odds of the answer lost where covered", signed=False)
    st.caption(
        "Each map belongs to the answer named under it. A black square of 16 × 16 pixels was moved over the picture: "
        "bright is where covering it costs the answer most (occlusion, Zeiler and Fergus 2014). Both share one "
        "scale: where all stays dark, there is no part that the answer rests on."
    )
