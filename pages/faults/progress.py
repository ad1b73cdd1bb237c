"""How far something on the Faults page is, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared import job_status
from pages.shared.jobs import watch
from pages.shared.visit.stage import progress_place, say

if TYPE_CHECKING:
    from pages.faults.state import FaultsState


def follow(
    state: FaultsState, what: str, unit: str, found: Sequence[Any] = (), draw_found: Callable[[int], None] | None = None
) -> None:
    """Show a run, with Stop, until it has ended; then the page is drawn again.

    `draw_found` draws as many of the things `found` as it is told: the run goes on meanwhile.
    """
    job = state.job
    assert job
    st.button("Stop", icon=":material/stop:", type="primary", on_click=state.stop, key="faults-stop", shortcut="Esc")
    say(f"{what} …")
    bar, place = progress_place(), st.empty()
    drawn = 0

    def draw() -> None:
        nonlocal drawn
        parts = [f"{what}: {job.count:,} of at most {state.total:,} {unit}", f"{job.seconds:.1f} s of computing"]
        if job.ahead:
            parts.append("taking turns with other visitors")
        bar.progress(min(1.0, job.count / state.total), " · ".join(parts))
        # A chart is heavy to draw: only where there is something new in it.
        if draw_found and len(found) > drawn:
            drawn = len(found)
            with place.container():
                draw_found(drawn)

    draw()
    watch(job, draw)
    st.rerun()


def draw_ending(state: FaultsState, doing: object, unit: str) -> None:
    """How the last run of this kind ended, where it did not come to its own end."""
    job = state.job
    if job is None or state.doing != doing or state.running:
        return
    job_status.draw_job_status(state, f" after {job.count:,} of at most {state.total:,} {unit}", doing)
