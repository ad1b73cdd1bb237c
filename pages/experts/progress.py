"""How far something on the Experts page is, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import job_status as ending
from pages.shared.jobs import watch
from pages.shared.words import counted

if TYPE_CHECKING:
    from pages.experts.state import Bench


def follow(bench: Bench, what: str) -> None:
    """Show a run, with Stop, until it has ended; then the page is drawn again."""
    run = bench.run
    assert run
    st.button("Stop", icon=":material/stop:", type="primary", on_click=bench.stop, key="experts-stop", shortcut="Esc")
    place = st.empty()

    def draw() -> None:
        parts = [f"{what}: {run.count} of {counted(bench.total)}", f"{run.seconds:.1f} s of computing"]
        if run.ahead:
            parts.append("taking turns with other visitors")
        place.progress(min(1.0, run.count / bench.total), " · ".join(parts))

    draw()
    watch(run, draw)
    st.rerun()


def draw_ending(bench: Bench, doing: object) -> None:
    """How the last run of this kind ended, where it did not come to its own end."""
    run = bench.run
    if run is None or bench.doing != doing or bench.running:
        return
    ending.draw_ending(run, f" after {counted(run.count)} of {bench.total}")
