"""What the charts of all pages share: colours for light and dark, dashes and symbols, type, legend and margins."""

from __future__ import annotations

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
