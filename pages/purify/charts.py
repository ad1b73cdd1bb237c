"""Charts of the Purify page: a value along each method, and accuracy against likeness. Not told by colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.shared.charts import DASHES, SYMBOLS, finished, label_sides, palette

if TYPE_CHECKING:
    from core.evaluation.tradeoff import Point

HEIGHT = 320
TRADE_HEIGHT = 460


class Line(NamedTuple):
    """A value along one method: how much of it was done, in per cent, and the value then."""

    title: str
    done: Sequence[float]
    values: Sequence[float]


def along(lines: Sequence[Line], axis: str, span: tuple[float, float] | None = None) -> go.Figure:
    """A line a method over its own length, so that methods of any length stand in step. `span`: ends of the axis."""
    colours, ink = palette()
    figure = go.Figure()
    for line, colour, dash, symbol in zip(lines, colours, DASHES, SYMBOLS):
        marker = {"size": 9 if len(line.done) < 20 else 1, "symbol": symbol, "color": colour}
        figure.add_scatter(
            x=line.done, y=line.values, mode="lines+markers", name=line.title, cliponaxis=False,
            line={"width": 3.5, "color": colour, "dash": dash, "shape": "hv"}, marker=marker,
        )  # fmt: skip
    figure.update_xaxes(title={"text": "done (% of each method’s steps)"}, range=[-2, 102])
    figure.update_yaxes(title={"text": axis}, nticks=5)
    if span:
        room = 0.05 * (span[1] - span[0])
        figure.update_yaxes(range=[span[0] - room, span[1] + room])
    return finished(figure, ink)


def trade_chart(groups: dict[str, list[tuple[str, Point]]], front: Sequence[Point] = ()) -> go.Figure:
    """Accuracy with its interval against SSIM. `groups`: title → its points, each with its name.

    The points of a group are joined by a line, or those in `front` alone where there are any.
    """
    mode = "markers+text" if front else "lines+markers+text"
    everywhere = [(point.ssim, 100 * point.accuracy.value, name) for named in groups.values() for name, point in named]
    sides = iter(label_sides(everywhere))
    colours, ink = palette()
    figure = go.Figure()
    if front:
        figure.add_scatter(
            x=[point.ssim for point in front], y=[100 * point.accuracy.value for point in front], mode="lines",
            name="none is better in both", line={"width": 2, "color": ink, "dash": "dot"}, hoverinfo="skip",
        )  # fmt: skip
    for (title, named), colour, dash, symbol in zip(groups.items(), colours, DASHES, SYMBOLS):
        points = [point for _, point in named]
        bars = {
            "type": "data", "symmetric": False, "color": colour, "thickness": 1.2,
            "array": [100 * (point.accuracy.high - point.accuracy.value) for point in points],
            "arrayminus": [100 * (point.accuracy.value - point.accuracy.low) for point in points],
        }  # fmt: skip
        figure.add_scatter(
            x=[point.ssim for point in points], y=[100 * point.accuracy.value for point in points], name=title,
            mode=mode, text=[name for name, _ in named], textposition=[next(sides) for _ in named],
            textfont={"size": 14, "color": ink}, error_y=bars, cliponaxis=False,
            line={"width": 3, "color": colour, "dash": dash}, marker={"size": 12, "symbol": symbol, "color": colour},
        )  # fmt: skip
    figure.update_xaxes(title={"text": "SSIM of the estimate to the clean scan (1: nothing changed)"}, nticks=6)
    figure.update_yaxes(title={"text": "right answers (%)"}, nticks=6)
    return finished(figure, ink)


def relative_chart(places: Sequence[float], values: Mapping[str, Sequence[float]], axis: str, place: int) -> go.Figure:
    """Values of different units over `places`, each in per cent of its own at index `place`."""
    colours, ink = palette()
    figure = go.Figure()
    for (title, own), colour, dash, symbol in zip(values.items(), colours, DASHES, SYMBOLS):
        figure.add_scatter(
            x=places, y=[100 * value / own[place] for value in own], mode="lines+markers", name=title,
            line={"width": 3, "color": colour, "dash": dash}, marker={"size": 9, "symbol": symbol, "color": colour},
            cliponaxis=False,
        )  # fmt: skip
    figure.update_xaxes(title={"text": axis}, nticks=8)
    figure.update_yaxes(title={"text": f"% of its value at {places[place]:g}"}, rangemode="tozero", nticks=6)
    return finished(figure, ink)
