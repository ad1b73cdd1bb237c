"""The chart of the map of gates. Never told apart by colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.experts.findings import points
from pages.shared.charts import BACKGROUNDS, finished, palette, theme

if TYPE_CHECKING:
    import numpy as np

HEIGHT = 600
SHIFT_HEIGHT = 380
FONT = 16
LINE = 26
HATCHES = ("", "/", "x")
SYMBOLS = ("circle", "triangle-up", "square", "diamond-tall")


class Cloud(NamedTuple):
    """places: (N, 2) gate vectors in the plane; kind: which condition; label: which class."""

    title: str
    places: np.ndarray
    kind: int
    label: int


def gate_map(clouds: Sequence[Cloud], here: Sequence[tuple[str, float, float]], axes: tuple[str, str]) -> go.Figure:
    """Recorded gate vectors in the plane: condition by colour and shape, class open or filled; this scan large."""
    colours, ink = palette()
    figure = go.Figure()
    for cloud in clouds:
        colour, symbol = colours[cloud.kind], SYMBOLS[cloud.kind]
        marker = {"symbol": f"{symbol}-open" if cloud.label == 0 else symbol, "size": 10, "opacity": 0.75}
        marker |= {"color": colour, "line": {"width": 1.5, "color": colour}}
        across, up = cloud.places[:, 0], cloud.places[:, 1]
        figure.add_scatter(x=across, y=up, mode="markers", marker=marker, name=cloud.title)
    if here:
        names, across, up = zip(*here)
        figure.add_scatter(
            x=across, y=up, mode="lines+markers", name="this scan", cliponaxis=False,
            line={"width": 3, "color": ink, "dash": "dot"},
            marker={"symbol": "diamond", "size": 20, "color": ink, "line": {"width": 2, "color": colours[1]}},
        )  # fmt: skip
        background = BACKGROUNDS[theme()]
        places = [place for cloud in clouds for place in cloud.places[:, 0].tolist()]
        middle = (min(places) + max(places)) / 2
        for place, (name, x, y) in enumerate(here):
            # Beside the diamond, on the side that has room, and apart where diamonds lie on one another.
            apart = LINE * ((len(here) - 1) / 2 - place)
            side = {"xanchor": "right", "xshift": -16} if x > middle else {"xanchor": "left", "xshift": 16}
            figure.add_annotation(
                x=x, y=y, text=f"<b>{name}</b>", showarrow=False, font={"size": FONT, "color": ink}, opacity=0.9,
                bgcolor=background, yshift=apart, **side,
            )  # fmt: skip
    figure.update_xaxes(title={"text": axes[0]}, zeroline=False)
    figure.update_yaxes(title={"text": axes[1]}, zeroline=False)
    return finished(figure, ink)


def shift_bars(names: Sequence[str], shifts: Mapping[str, np.ndarray]) -> go.Figure:
    """How much more each expert counts under each attack than on the same scans clean, in points."""
    colours, ink = palette()
    figure = go.Figure()
    for number, (title, shift) in enumerate(shifts.items(), 1):  # colours as on the map, where clean has the first
        figure.add_bar(
            x=list(names), y=100 * shift, name=title, hoverinfo="skip", textposition="outside", cliponaxis=False,
            text=[points(value) for value in shift], textfont={"size": FONT - 3, "color": ink}, textangle=0,
            marker={
                "color": colours[number], "line": {"width": 1, "color": ink},
                "pattern": {"shape": HATCHES[number - 1], "fillmode": "overlay", "fgcolor": ink, "fgopacity": 0.5},
            },
        )  # fmt: skip
    figure.update_yaxes(title={"text": "points more or less than clean"}, zeroline=True, zerolinecolor=ink)
    figure.update_xaxes(type="category")
    figure.update_layout(bargap=0.3)
    return finished(figure, ink)
