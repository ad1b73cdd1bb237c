"""Three small charts over the steps of an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.attack.state import AttackRun
from pages.shared import charts
from pages.shared.words import number, sign

if TYPE_CHECKING:
    from core.trajectories.attack import Snapshot

# Fewer make no curve.
FEWEST_STEPS = 2


def draw_charts(attack_run: AttackRun, now: Snapshot, drawing: int = 0) -> None:
    """Probability, loss and size of the perturbation over the steps, each in a chart of its own.

    `drawing`: another number each time that they are drawn in one run of the page.
    """
    snapshots, norm = attack_run.trajectory.snapshots, attack_run.settings.norm
    if len(snapshots) <= FEWEST_STEPS:
        return
    grid = st.grid(3, min_column_width=150)
    unit, factor = (" in 1/255", 255) if norm == "linf" else ("", 1)
    curves: tuple[tuple[str, list[float | None], float, list[float] | None], ...] = (
        ("Probability, %", [snapshot.probability for snapshot in snapshots], 100, [0, 100]),
        ("Loss", [snapshot.loss for snapshot in snapshots], 1, None),
        (f"Perturbation, {sign(norm)}{unit}", [snapshot.size for snapshot in snapshots], factor, None),
    )
    for place, (title, values, scale, span) in enumerate(curves):
        points = zip(snapshots, values)
        known = [(snapshot.step, scale * value) for snapshot, value in points if value is not None]
        with grid.cell():
            st.markdown(f"**{title}**")
            _draw_curve(title, known, now.step, span, f"attack-curve-{place}-{drawing}")


def _draw_curve(title: str, points: list[tuple[int, float]], now: int, span: list[float] | None, key: str) -> None:
    if not points:
        st.caption("This attack doesn't say.")
        return
    (first, start), (last, end) = points[0], points[-1]
    st.plotly_chart(
        charts.curve(points, now, span),
        height=charts.CURVE_HEIGHT,
        config=charts.CONFIG,
        key=key,
        alt=f"{title}: {number(start)} at step {first}, {number(end)} at step {last}",
    )
