"""What a method changed: the difference over the scan, where the classifier looked, how alike, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.purify.files import draw_files
from pages.purify.state import PurifyState, attributions_of
from pages.shared import pictures
from pages.shared.regions import region_as_seen, region_here
from pages.shared.regions.table import draw_region_fidelity
from pages.shared.viewer.comparison import draw_comparison
from pages.shared.words import decibels, number, percent, plain

if TYPE_CHECKING:
    from core.fidelity.metrics import Distance
    from core.trajectories.purification import Frame, PurificationTrajectory
    from pages.shared.session import Session

HONEST = (
    "The estimate is what the method holds to be likely, never the patient’s scan: fine detail in it may be made up, "
    "and detail of the scan may be missing."
)
UNKNOWN = (
    "The clean scan is not known here, so nobody can say how close the estimate comes to it: only how far it is from "
    "what was given, and, under “Seeds”, how much it hangs on the noise."
)

OUTLINE = (
    "There is no region on this slice. Outline one in the viewer on the Examine page, and what the method did "
    "there stands here, against elsewhere."
)


def pick(state: PurifyState, key: str) -> int:
    """Which of the methods, of those that have made an estimate; there is one at least."""
    places = [place for place, trajectory in enumerate(state.trajectories) if trajectory.steps]
    if len(places) == 1:
        return places[0]
    if st.session_state.get(key) not in places:  # what an earlier purification had more of
        st.session_state.pop(key, None)
    names = [plain(in_short(trajectory.settings)) for trajectory in state.trajectories]
    first = places[0]
    return st.segmented_control("Method", places, default=first, required=True, key=key, format_func=names.__getitem__)


def draw_change(session: Session, state: PurifyState) -> None:
    """Everything about one method's estimate."""
    place = pick(state, "change-method")
    trajectory = state.trajectories[place]
    last = trajectory.frames[-1]
    _draw_pictures(session, state, trajectory, last)
    _draw_distances(last)
    st.subheader("In the region of interest", anchor=False)
    _draw_region(session, state, place)
    st.subheader("Where the classifier looked", anchor=False)
    _draw_attributions(state, place)
    st.subheader("Take the estimate along", anchor=False)
    draw_files(state, place)


def _draw_pictures(session: Session, state: PurifyState, trajectory: PurificationTrajectory, last: Frame) -> None:
    """What was given and what came of it, beside the clean scan where that is known."""
    known = {"Original": state.reference.pixels, "Attacked": trajectory.pixels} if state.reference else None
    pictures = {**(known or {"Input": trajectory.pixels}), "Purified": last.estimate}
    draw_comparison(
        pictures,
        session.origin or state.scan,
        (state.reference or state.before).frame.shape,
        first=(len(pictures) - 2, len(pictures) - 1),
        gain=5,
        region=region_as_seen(session, last.estimate.shape[-1]),
        large=session.visit.class_view,
    )
    st.markdown(HONEST)


def _draw_region(session: Session, state: PurifyState, place: int) -> None:
    """What the method did in the region of this slice against elsewhere."""
    region = region_here(session)
    if region is None:
        st.markdown(OUTLINE)
        return
    reference, estimate = state.reference, state.trajectories[place].frames[-1].estimate
    before = (reference or state.before).pixels
    of = (*state.choices, state.settings[place], state.seed)
    draw_region_fidelity(session, region, before, estimate, of, clean=reference is not None)


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


def _draw_attributions(state: PurifyState, place: int) -> None:
    """What the answers rest on, input and estimate on one scale."""
    from core.explanation import overlays

    trajectory, shape = state.trajectories[place], state.before.frame.shape
    before, after = attributions_of(state, place)
    limit = max(overlays.map_limit(before), overlays.map_limit(after))
    grid = st.grid(2, min_column_width=200)
    for name, values, frame in (("input", before, trajectory.frames[0]), ("estimate", after, trajectory.frames[-1])):
        answer = frame.prediction
        title = f"On the {name}: “{answer.label}”, {percent(answer.confidence)}"
        native = overlays.at_native(frame.estimate, shape, state.scan.spacing)
        picture = overlays.overlay_png(native, values, limit, 0.85, state.scan.spacing)
        grid.image(picture, title, "stretch", output_format="PNG", alt=f"Where the classifier looked. {title}")
    pictures.draw_legend("0", f"{number(limit)} log odds of the answer lost where covered", signed=False)
    st.caption(
        "Each map belongs to the answer named under it. A black square of 16 × 16 pixels was moved over the picture: "
        "bright is where covering it costs the answer most (occlusion, Zeiler and Fergus 2014). Both share one "
        "scale: where all stays dark, there is no part that the answer rests on."
    )
