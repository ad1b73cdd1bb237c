"""How far something on the Experts page is, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import job_status
from pages.shared.jobs import watch
from pages.shared.visit.stage import progress_place, say
from pages.shared.words import counted

if TYPE_CHECKING:
    from pages.experts.state import ExpertsState


def follow(state: ExpertsState, what: str) -> None:
    """Show a run, with Stop, until it has ended; then the page is drawn again."""
    job = state.job
    assert job
    st.button("Stop", icon=":material/stop:", type="primary", on_click=state.stop, key="experts-stop", shortcut="Esc")
    say(f"{what} …")
    place = progress_place()

    def draw() -> None:
        parts = [f"{what}: {job.count} of {counted(state.total)}", f"{job.seconds:.1f} s of computing"]
        if job.ahead:
            parts.append("taking turns with other visitors")
        place.progress(min(1.0, job.count / state.total), " · ".join(parts))

    draw()
    watch(job, draw)
    st.rerun()


def draw_ending(state: ExpertsState, doing: object) -> None:
    """How the last run of this kind ended, where it did not come to its own end."""
    job = state.job
    if job is None or state.doing != doing or state.running:
        return
    job_status.draw_job_status(state, f" after {counted(job.count)} of {state.total}", doing)
