"""An estimate as a file that says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.state import PurifyState
from pages.shared.downloads import draw_scan_downloads, scan_stem
from pages.shared.runtime import bundle
from pages.shared.session import current_session

if TYPE_CHECKING:
    from core.trajectories.purification import PurificationTrajectory


def draw_files(state: PurifyState, place: int) -> None:
    """Both files of one method's estimate."""
    if place not in state.files:
        state.files[place] = _files(state, place)
    dicom, png = state.files[place]
    stem = f"{scan_stem(current_session(), state.scan)}-purified-{state.settings[place].method}"
    with st.container(horizontal=True):
        draw_scan_downloads(dicom, png, stem, "purified")
    st.caption(
        "Both files are marked as purified and name no patient beside the picture; text within it stays. What they "
        "show is an estimate, never the patient’s scan. Purescan is not a medical device."
    )


def _files(state: PurifyState, place: int) -> tuple[bytes, bytes]:
    """DICOM and PNG."""
    from core.scans import derived_dicom, derived_png

    estimate = state.trajectories[place].frames[-1].estimate
    pixels = estimate[0] if len(estimate) == 1 else estimate.transpose(1, 2, 0)
    dicom = derived_dicom(
        pixels,
        kind="purified",
        description=describe(state, state.trajectories[place]),
        modality=bundle(state.before.bundle).written_modality,
        source=state.scan,
        prepared=True,
    )
    return dicom, derived_png(pixels, kind="purified")


def describe(state: PurifyState, trajectory: PurificationTrajectory) -> str:
    """What an estimate says of itself as a file. No file names: they may name a patient."""
    from core.purification.catalogue import find_purifier, noise_level

    settings, takes = trajectory.settings, find_purifier(trajectory.settings).takes
    level = noise_level(settings)
    facts = [settings.method, *([f"t {level}"] if level else []), f"{trajectory.steps} of {trajectory.total} steps"]
    facts += [f"clip {settings.clip:g}/255"] if "clip" in takes else []
    source = f" of an image marked as {state.scan.derived}" if state.scan.derived else ""
    return (
        f"Purified: {', '.join(facts)}, seed {state.seed}, with {state.before.bundle}{source}. "
        "An estimate, never the patient's scan. Not for diagnosis; Purescan is not a medical device."
    )
