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
AS_SHIPPED = "as shipped"


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
    clouds: Sequence[Cloud],
    names: tuple[str, str],
    thresholds: Mapping[str, float],
    here: tuple[float, float] | None,
    before: Mapping[str, float] | None = None,
) -> go.Figure:
    """Sets of scans over two scores, with lines at the thresholds and a big diamond for this scan.

    `before`: thresholds that held before, as dotted lines; those of today are dashed.
    """
    colours, ink = palette()
    background = BACKGROUNDS[theme()]
    figure = go.Figure()
    for cloud, colour, symbol in zip(clouds, colours, ("circle-open", "x-thin", "triangle-up-open")):
        marker = {"symbol": symbol, "size": 9, "opacity": 0.8, "color": colour, "line": {"width": 1.5, "color": colour}}
        xs, ys = ([max(value, FLOOR) for value in values] for values in (cloud.across, cloud.up))
        figure.add_scatter(x=xs, y=ys, mode="markers", marker=marker, name=cloud.title)
    moved = {name: limit for name, limit in (before or {}).items() if limit != thresholds[name]}
    for limits, dash in ((moved, "dot"), (thresholds, "dash")):
        line = {"dash": dash, "width": 2, "color": ink}
        if names[0] in limits:
            figure.add_vline(x=limits[names[0]], line=line)
        if names[1] in limits:
            figure.add_hline(y=limits[names[1]], line=line)
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
    for axis, name in enumerate(names):
        if before is None:
            _write_threshold(figure, thresholds[name], "threshold", axis)
        else:
            _write_threshold(figure, thresholds[name], "yours" if name in moved else "as shipped, and yours", axis)
        if name in moved:
            _write_threshold(figure, moved[name], AS_SHIPPED, axis)
    titles = [{"text": f"{score_words(name).name}: {score_words(name).axis}"} for name in names]
    ticks = [0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50]
    figure.update_xaxes(type="log", title=titles[0], tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.update_yaxes(type="log", title=titles[1], dtick=1, exponentformat="power")
    return finished(figure, ink)


def _write_threshold(figure: go.Figure, limit: float, said: str, axis: int) -> None:
    """What a line stands for, at its end; on a logarithmic axis Plotly places texts by exponent.

    Lines as shipped bear theirs at the other end, as both may lie close together.
    """
    other = said == AS_SHIPPED
    text = {"text": said, "showarrow": False, "font": {"size": 14, "color": palette()[1]}}
    text |= {"bgcolor": faded(BACKGROUNDS[theme()], 0.85)}
    if axis:
        side = {"x": 1, "xanchor": "right", "xshift": -4} if other else {"x": 0, "xanchor": "left", "xshift": 4}
        figure.add_annotation(y=math.log10(limit), xref="paper", yanchor="bottom", **side, **text)
    else:
        end = {"y": 1, "yanchor": "top"} if other else {"y": 0, "yanchor": "bottom"}
        figure.add_annotation(x=math.log10(limit), yref="paper", xanchor="right", xshift=-4, **end, **text)


def roc_chart(curves: Mapping[str, Roc]) -> go.Figure:
    """One curve a score; the diagonal is guessing, and the dotted line the budget of false alarms."""
    from core.defence.fitting import FALSE_ALARM_BUDGET

    colours, ink = palette()
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="guessing", line={"width": 1, "color": ink}, hoverinfo="skip"
    )
    for (title, curve), colour, dash in zip(curves.items(), (*colours, ink), (*DASHES, "longdash")):
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
    figure.update_xaxes(title={"text": "clean scans above the threshold (%)"}, range=[-1, 101])
    figure.update_yaxes(title={"text": "attacked scans above the threshold (%)"}, range=[-1, 102])
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
