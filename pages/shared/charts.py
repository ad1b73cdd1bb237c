"""What the charts of all pages share: colours for light and dark, dashes and symbols, type, legend and margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Plotly takes pandas for loaded as soon as another thread has begun to load it, and fails: it has to be whole first.
import pandas  # noqa: F401
import plotly.graph_objects as go
import streamlit as st

CURVE_HEIGHT = 180
CONFIG = {"displayModeBar": False}
# Okabe and Ito's blue and vermilion, lighter on dark: apart for every kind of colour vision.
COLOURS = {"light": ("#0072b2", "#c04f00", "#14212b"), "dark": ("#56b4e9", "#ff9a4d", "#ffffff")}
# Their bluish green and reddish purple, for a third and a fourth.
MORE_COLOURS = {"light": ("#00795a", "#9c4a7c"), "dark": ("#35d0a2", "#e59ac8")}
BACKGROUNDS = {"light": "#ffffff", "dark": "#0b1015"}  # as in the theme
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "x")
# Where a name may stand by its point, to the side and up; about how large a chart on a narrow screen, a letter and a
# mark are, in pixels: what is clear there is clear on a wide one.
SIDES = {
    "bottom left": (-1, -1), "top left": (-1, 1), "bottom right": (1, -1), "top right": (1, 1),
    "bottom center": (0, -1), "top center": (0, 1), "middle left": (-1, 0), "middle right": (1, 0),
}  # fmt: skip
CHART, LETTER, LINE, MARK = (400, 320), 7.5, 17, 8
ROOM, FAR = 50, 1e6  # pixels beside the outermost points; farther than any chart reaches
# A logarithmic axis has no place for 0.
FLOOR = 1e-7


def theme() -> str:
    """``dark`` or ``light``, as the visitor's browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"


def palette() -> tuple[tuple[str, str, str, str], str]:
    """Four colours for data, and the ink."""
    blue, orange, ink = COLOURS[theme()]
    return (blue, orange, *MORE_COLOURS[theme()]), ink


def faded(colour: str, opacity: float = 0.18) -> str:
    """A colour, #rrggbb, that lets through what lies behind it; `opacity` in [0, 1]."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def finished(figure: go.Figure, ink: str) -> go.Figure:
    """The figure with the type, legend and margins that all of these charts share."""
    font = {"size": 15, "color": ink}
    figure.update_xaxes(tickfont=font, title_font=font)
    figure.update_yaxes(tickfont=font, title_font=font)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": font, "title": {"text": ""}}
    figure.update_layout(legend=legend, margin={"l": 8, "r": 16, "t": 8, "b": 8}, hovermode="closest")
    return figure


def enlarged(figure: go.Figure, times: float = 1.5) -> go.Figure:
    """The figure with type, lines and marks for the back row."""
    for holder in ("font", "tickfont", "textfont", "marker", "line"):
        for part in figure.select_traces(lambda trace, holder=holder: holder in trace):
            _enlarge(part[holder], times)
    figure.for_each_xaxis(lambda axis: _enlarge_axis(axis, times))
    figure.for_each_yaxis(lambda axis: _enlarge_axis(axis, times))
    figure.for_each_annotation(lambda text: _enlarge(text.font, times))
    _enlarge(figure.layout.legend.font, times)
    return figure


def _enlarge_axis(axis: Any, times: float) -> None:
    _enlarge(axis.tickfont, times)
    _enlarge(axis.title.font, times)
    axis.automargin = True


def _enlarge(part: Any, times: float) -> None:
    for name in ("size", "width"):
        if name in part and isinstance(part[name], int | float):
            part[name] *= times
        elif name in part and isinstance(part[name], list | tuple):
            part[name] = [times * size for size in part[name]]


def curve(points: list[tuple[int, float]], now: int, span: list[float] | None = None) -> go.Figure:
    """A value over the steps of an attack, with a ring around the step that is looked at. `span`: ends of its axis."""
    blue, orange, ink = COLOURS[theme()]
    steps, values = zip(*points)
    figure = go.Figure(go.Scatter(x=steps, y=values, mode="lines", line={"width": 4, "color": blue}))
    here = max((point for point in points if point[0] <= now), default=points[0])
    ring = {"size": 14, "color": orange, "line": {"width": 2, "color": ink}}
    figure.add_scatter(x=[here[0]], y=[here[1]], mode="markers", marker=ring, cliponaxis=False)
    font = {"size": 14, "color": ink}
    margin = 0.04 * max(steps[-1] - steps[0], 1)
    figure.update_xaxes(tickfont=font, nticks=4, range=[steps[0] - margin, steps[-1] + margin], title=None)
    figure.update_yaxes(tickfont=font, nticks=4, rangemode="tozero")
    if span:
        room = 0.06 * (span[1] - span[0])
        figure.update_yaxes(range=[span[0] - room, span[1] + room])
    figure.update_layout(showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure


def label_sides(points: Sequence[tuple[float, float, str]]) -> list[str]:
    """On which side of each point (across, up, name) its name stands, so that names lie over one another least.

    One after the other takes the side that is freest of the points and of the names placed before it, and that lies
    within the chart.
    """
    across, up = [point[0] for point in points], [point[1] for point in points]
    wide, high = (max(values) - min(values) or 1 for values in (across, up))
    places = [(x / wide * CHART[0], y / high * CHART[1]) for x, y in zip(across, up)]
    taken = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in places]
    left, right = min(x for x, _ in places), max(x for x, _ in places)
    if left < right:  # what lies beyond the outermost points is the axis and its title, and the page's edge
        taken += [(left - CHART[0], -FAR, left - ROOM, FAR), (right + ROOM, -FAR, right + CHART[0], FAR)]
    chosen = []
    for (x, y), (_, _, name) in zip(places, points):
        boxes = {side: _label_box(x, y, name, *move) for side, move in SIDES.items()}
        side = min(boxes, key=lambda side: sum(_overlap(boxes[side], other) for other in taken))
        taken.append(boxes[side])
        chosen.append(side)
    return chosen


def _label_box(x: float, y: float, name: str, across: int, up: int) -> tuple[float, float, float, float]:
    width, height = LETTER * len(name), LINE
    left, low = x + across * (MARK + width / 2) - width / 2, y + up * (MARK + height / 2) - height / 2
    return left, low, left + width, low + height


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    width, height = (min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis]) for axis in (0, 1))
    return max(0.0, width) * max(0.0, height)
