"""How the measures of an audit are spread over its scans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import CONFIG, FLOOR, palette
from pages.shared.words import hover, number

if TYPE_CHECKING:
    from core.report.cases import Case

HEIGHT = 240
SYMBOLS = {"kept": "circle", "restored": "diamond", "broken": "x", "changed": "x"}
# A row without points keeps its place.
NOWHERE: list[float | None] = [None]
TICKS = [0.01, 0.1, 1, 10, 100, 1000]


def draw_charts(cases: list[Case]) -> None:
    """Damage, evidence and time: one point a scan, apart by what purification did to the answer."""
    measured = [case for case in cases if case.fidelity]
    if not measured:
        return
    st.header("How they are spread", anchor=False)
    shown = (
        (
            "SSIM of the estimate to the scan",
            [case.fidelity["ssim"] for case in measured if case.fidelity],
            None,
            False,
        ),
        ("Largest score, in units of its threshold", [case.excess or 0.0 for case in measured], 1.0, True),
        ("Seconds until the decision", [case.seconds or 0.0 for case in measured], None, False),
    )
    grid = st.grid(len(shown), min_column_width=240)
    for title, values, threshold, logarithmic in shown:
        with grid.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.plotly_chart(
                dots(measured, values, threshold, logarithmic),
                height=HEIGHT,
                config=CONFIG,
                key=f"audit-{title}",
                alt=f"{title}: from {number(min(values))} to {number(max(values))} over {len(values)} scans",
            )
    st.caption("One point a scan, by what purification did to its answer.")


def dots(cases: list[Case], values: list[float], threshold: float | None, logarithmic: bool) -> go.Figure:
    """A row for the answers that were kept, one for each way in which others changed; a dashed line at the threshold.

    Where nothing changed there is a row that says so by its emptiness.
    """
    colours, ink = palette()
    figure = go.Figure()
    shown = [effect for effect in SYMBOLS if any(case.effect == effect for case in cases)]
    shown += ["changed"] if shown == ["kept"] else []
    for title in shown:
        colour, symbol = colours[list(SYMBOLS).index(title)], SYMBOLS[title]
        chosen = [index for index, case in enumerate(cases) if case.effect == title]
        figure.add_box(
            x=[max(values[index], FLOOR) if logarithmic else values[index] for index in chosen] or NOWHERE,
            text=[hover(cases[index].name) for index in chosen], name=title, orientation="h", boxpoints="all", jitter=1,
            pointpos=0, width=0.75, fillcolor="rgba(0,0,0,0)", line_color="rgba(0,0,0,0)", hoverinfo="x+text",
            marker={"size": 8, "opacity": 0.7, "color": colour, "symbol": symbol},
        )  # fmt: skip
    font = {"size": 14, "color": ink}
    if threshold is not None:
        figure.add_vline(x=threshold, line={"dash": "dash", "width": 2, "color": ink})
        figure.add_annotation(
            x=math.log10(threshold) if logarithmic else threshold, y=1, yref="paper", text="found above",
            showarrow=False, yanchor="bottom", xanchor="left", font=font,
        )  # fmt: skip
    scale = {"type": "log", "tickvals": TICKS} if logarithmic else {"type": "linear", "nticks": 5}
    figure.update_xaxes(tickfont=font, **scale)
    figure.update_yaxes(tickfont=font, autorange="reversed", categoryorder="array", categoryarray=shown)
    figure.update_layout(showlegend=False, margin={"l": 8, "r": 16, "t": 28, "b": 8})
    return figure
