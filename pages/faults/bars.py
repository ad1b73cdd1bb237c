"""Bars and maps of the Faults page. Never told apart by colour alone: hatching and numbers say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.shared.charts import finished, palette

if TYPE_CHECKING:
    from core.faults.record import Outcome

FONT = 16
MOST_TEXTS = 14
FIELD_SHAPES = {"sign": "x", "exponent": "", "mantissa": "/"}


class Bar(NamedTuple):
    """One bar: its name, which group it belongs to, and what was measured."""

    title: str
    group: str
    outcome: Outcome


def accuracy_bars(bars: Sequence[Bar], axis: str) -> go.Figure:
    """An accuracy a bar, with its interval; groups by colour and hatching."""
    colours, ink = palette()
    on_bars = "#000000" if ink == "#ffffff" else "#ffffff"  # the colours of bars are bright on dark, and dark on bright
    figure = go.Figure()
    groups = list(dict.fromkeys(bar.group for bar in bars))
    shapes = [FIELD_SHAPES.get(group, "") for group in groups]
    for number, (group, shape) in enumerate(zip(groups, shapes)):
        shown = [(place, bar) for place, bar in enumerate(bars) if bar.group == group]
        values = [100 * (bar.outcome.accuracy or 0) for _, bar in shown]
        ends = [bar.outcome.interval or (bar.outcome.accuracy or 0,) * 2 for _, bar in shown]
        figure.add_bar(
            x=[place for place, _ in shown], y=values, name=group, showlegend=len(groups) > 1,
            error_y={
                "array": [100 * end[1] - value for end, value in zip(ends, values)],
                "arrayminus": [value - 100 * end[0] for end, value in zip(ends, values)],
                "color": ink, "thickness": 2, "width": 4,
            },
            marker={
                "color": colours[number % len(colours)], "line": {"width": 1, "color": ink},
                "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": ink, "fgopacity": 0.6},
            },
            text=[f"<b>{value:.0f} %</b>" for value in values] if len(bars) <= MOST_TEXTS else None,
            textposition="inside", insidetextanchor="middle", textangle=0, textfont={"size": FONT, "color": on_bars},
            customdata=[bar.title for _, bar in shown], hovertemplate="%{customdata}: %{y:.1f} %<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        title={"text": axis}, tickvals=list(range(len(bars))), ticktext=[bar.title for bar in bars],
        tickangle=-90 if len(bars) > 12 else None,
    )  # fmt: skip
    figure.update_yaxes(title={"text": "accuracy (%)"}, range=[0, 106])
    return finished(figure, ink)


def grid_map(columns: Sequence[str], rows: Sequence[str], shares: Sequence[Sequence[float | None]]) -> go.Figure:
    """Accuracies in a grid, each cell with its number."""
    colours, ink = palette()
    values = [[None if share is None else 100 * share for share in row] for row in shares]
    texts = [["" if value is None else f"<b>{value:.0f} %</b>" for value in row] for row in values]
    figure = go.Figure()
    figure.add_heatmap(
        x=list(columns), y=list(rows), z=values, text=texts, texttemplate="%{text}", zmin=0, zmax=100,
        textfont={"size": FONT + 2}, showscale=False, hoverinfo="skip", xgap=3, ygap=3,
        colorscale=[[0, "#8f4400"], [0.5, "#fdebd6"], [1, "#0b5a94"]],
    )  # fmt: skip
    figure.update_xaxes(title={"text": "ε of PGD, in 1/255"}, type="category")
    figure.update_yaxes(title={"text": "random flips"}, type="category")
    return finished(figure, ink)
