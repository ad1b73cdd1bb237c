"""How far something on the Faults page is, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared import job_status as ending
from pages.shared.jobs import watch

if TYPE_CHECKING:
    from pages.faults.state import FaultBench


def follow(
    bench: FaultBench, what: str, unit: str, found: Sequence[Any] = (), draw_found: Callable[[int], None] | None = None
) -> None:
    """Show a run, with Stop, until it has ended; then the page is drawn again.

    `draw_found` draws as many of the things `found` as it is told: the run goes on meanwhile.
    """
    run = bench.run
    assert run
    st.button("Stop", icon=":material/stop:", type="primary", on_click=bench.stop, key="faults-stop", shortcut="Esc")
    bar, place = st.empty(), st.empty()
    drawn = 0

    def draw() -> None:
        nonlocal drawn
        parts = [f"{what}: {run.count:,} of at most {bench.total:,} {unit}", f"{run.seconds:.1f} s of computing"]
        if run.ahead:
            parts.append("taking turns with other visitors")
        bar.progress(min(1.0, run.count / bench.total), " · ".join(parts))
        # A chart is heavy to draw: only where there is something new in it.
        if draw_found and len(found) > drawn:
            drawn = len(found)
            with place.container():
                draw_found(drawn)

    draw()
    watch(run, draw)
    st.rerun()


def draw_ending(bench: FaultBench, doing: object, unit: str) -> None:
    """How the last run of this kind ended, where it did not come to its own end."""
    run = bench.run
    if run is None or bench.doing != doing or bench.running:
        return
    ending.draw_ending(run, f" after {run.count:,} of at most {bench.total:,} {unit}")
