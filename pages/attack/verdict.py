"""What came of an attack: the pictures beside each other, how far the scan was moved, and the ways on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.attack.state import AttackRun, Outcome
from pages.shared.downloads import draw_scan_downloads, scan_stem
from pages.shared.regions import region_as_seen
from pages.shared.session import current_session
from pages.shared.story import cards
from pages.shared.viewer.comparison import draw_comparison
from pages.shared.words import decibels, number

if TYPE_CHECKING:
    from core.trajectories.attack import Snapshot
    from pages.shared.session import Session


def draw_pictures(session: Session, attack_run: AttackRun, snapshot: Snapshot) -> None:
    """Original and what the steps so far made of it, at the end beside what purification made of that."""
    before, outcome = attack_run.before, attack_run.outcome
    pictures = {"Original": before.pixels, f"After step {snapshot.step:,}": snapshot.pixels}
    if outcome and snapshot.step == attack_run.trajectory.steps:
        pictures = cards.pictures(before, outcome.examination)
    draw_comparison(
        pictures,
        attack_run.scan,
        before.frame.shape,
        region=region_as_seen(session, before.pixels.shape[-1]),
        large=session.visit.class_view,
    )


def draw_change(session: Session, attack_run: AttackRun, outcome: Outcome) -> None:
    """Original, attacked and difference, and four measures of it."""
    draw_pictures(session, attack_run, attack_run.trajectory.snapshots[-1])
    distance = outcome.distance
    grid = st.grid(4, min_column_width=150)
    grid.metric("SSIM", f"{distance.ssim:.3f}", help="Structural similarity; 1 where nothing changed.", border=True)
    about_psnr = "Peak signal-to-noise ratio; the higher, the less changed."
    grid.metric("PSNR", decibels(distance.psnr), help=about_psnr, border=True)
    grid.metric("ℓ∞", f"{number(255 * distance.linf)}/255", help="The largest change of any pixel.", border=True)
    grid.metric("ℓ2", number(distance.l2), help="The length of the whole change; pixels run from 0 to 1.", border=True)


def draw_exits(attack_run: AttackRun, outcome: Outcome) -> bool:
    """The ways on: two files, and Examine; whether the visitor wants to go there."""
    with st.container(horizontal=True):
        wanted = st.button("Open in Examine", icon=":material/radiology:", type="primary", key="open-in-examine")
        stem = scan_stem(current_session(), attack_run.scan)
        draw_scan_downloads(outcome.dicom, outcome.png, f"{stem}-attacked", "download")
    st.caption(
        "Both files say that they were made by an attack, and name no patient beside the picture; text within it "
        "stays. Purescan is not a medical device."
    )
    return wanted
