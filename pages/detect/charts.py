"""Charts of the Detect page: score against score, ROC curves, shares over ε. Never told apart by colour alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.shared.charts import BACKGROUNDS, DASHES, FLOOR, SYMBOLS, faded, finished, palette, theme
from pages.shared.words import score_words

if TYPE_CHECKING:
    from core.evaluation.operating_points import Roc, Share

HEIGHT = 460


class Cloud(NamedTuple):
    """The scores of one set of scans: `across` and `up`, (N,) each."""

    title: str
    across: Sequence[float]
    up: Sequence[float]


class Line(NamedTuple):
    """A measured share over ε, with its interval."""

    title: str
    eps: Sequence[float]
    shares: Sequence[Share]


def scatter(
    clouds: Sequence[Cloud], names: tuple[str, str], thresholds: Mapping[str, float], here: tuple[float, float] | None
) -> go.Figure:
    """Sets of scans over two scores, with lines at the thresholds and a big diamond for this scan."""
    colours, ink = palette()
    background = BACKGROUNDS[theme()]
    figure = go.Figure()
    for cloud, colour, symbol in zip(clouds, colours, ("circle-open", "x-thin", "triangle-up-open")):
        marker = {"symbol": symbol, "size": 9, "opacity": 0.8, "color": colour, "line": {"width": 1.5, "color": colour}}
        across, up = ([max(value, FLOOR) for value in values] for values in (cloud.across, cloud.up))
        figure.add_scatter(x=across, y=up, mode="markers", marker=marker, name=cloud.title)
    line = {"dash": "dash", "width": 2, "color": ink}
    figure.add_vline(x=thresholds[names[0]], line=line)
    figure.add_hline(y=thresholds[names[1]], line=line)
    if here:
        across, up = (max(value, FLOOR) for value in here)
        figure.add_scatter(
            x=[across], y=[up], mode="markers", name="this scan", cliponaxis=False,
            marker={"symbol": "diamond", "size": 20, "color": ink, "line": {"width": 2, "color": colours[1]}},
        )  # fmt: skip
        # On a logarithmic axis Plotly places texts by exponent. Behind this one the points fade, so that it is read.
        figure.add_annotation(
            x=math.log10(across), y=math.log10(up), text="<b>this scan</b>", showarrow=False, yshift=26,
            font={"size": 16, "color": ink}, bgcolor=faded(background, 0.85),
        )  # fmt: skip
    text = {"text": "threshold", "showarrow": False, "yanchor": "bottom", "font": {"size": 14, "color": ink}}
    across, up = (math.log10(thresholds[name]) for name in names)
    figure.add_annotation(x=across, y=0, yref="paper", xanchor="left", xshift=4, **text)
    figure.add_annotation(x=1, y=up, xref="paper", xanchor="right", **text)
    across, up = ({"text": f"{score_words(name).name}: {score_words(name).axis}"} for name in names)
    ticks = [0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50]
    figure.update_xaxes(type="log", title=across, tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.update_yaxes(type="log", title=up, dtick=1, exponentformat="power")
    return finished(figure, ink)


def roc_chart(curves: Mapping[str, Roc]) -> go.Figure:
    """One curve a score; the diagonal is guessing, and the dotted line the budget of false alarms."""
    from core.defence.fitting import FALSE_ALARM_BUDGET

    colours, ink = palette()
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="guessing", line={"width": 1, "color": ink}, hoverinfo="skip"
    )
    for (title, curve), colour, dash in zip(curves.items(), colours, DASHES):
        figure.add_scatter(
            x=100 * curve.false_alarms, y=100 * curve.detected, mode="lines", name=title,
            line={"width": 3.5, "color": colour, "dash": dash}, cliponaxis=False,
        )  # fmt: skip
    # In the legend, as no place within the axes is sure to be free of curves.
    figure.add_scatter(
        x=[100 * FALSE_ALARM_BUDGET] * 2, y=[0, 100], mode="lines", 
        name=f"{100 * FALSE_ALARM_BUDGET:.0f} % false alarms",
        line={"width": 1.5, "color": ink, "dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(title={"text": "false alarms: clean scans flagged (%)"}, range=[-1, 101])
    figure.update_yaxes(title={"text": "attacked scans flagged (%)"}, range=[-1, 102])
    return finished(figure, ink)


def stress_chart(lines: Sequence[Line]) -> go.Figure:
    """Shares over ε with bands for their intervals."""
    colours, ink = palette()
    figure = go.Figure()
    for line, colour, dash, symbol in zip(lines, colours, DASHES, SYMBOLS):
        low, high = ([100 * share[place] for share in line.shares] for place in (1, 2))
        band = {"x": [*line.eps, *line.eps[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "hoverinfo": "skip"}
        figure.add_scatter(
            **band, fillcolor=faded(colour), line={"width": 0}, mode="lines", showlegend=False, legendgroup=line.title
        )
        figure.add_scatter(
            x=line.eps, y=[100 * share.value for share in line.shares], mode="lines+markers", name=line.title,
            line={"width": 3.5, "color": colour, "dash": dash}, marker={"size": 10, "symbol": symbol, "color": colour},
            legendgroup=line.title, cliponaxis=False,
        )  # fmt: skip
    ticks = [0.5, 1, 2, 4, 8, 16]
    figure.update_xaxes(
        type="log", range=[-0.37, 1.27], tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks],
        title={"text": "ε of the attack, in 1/255"},
    )  # fmt: skip
    figure.update_yaxes(title={"text": "scans (%)"}, range=[-3, 103])
    return finished(figure, ink)
