"""The chart of the map of gates. Never told apart by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import BACKGROUNDS, finished, palette

if TYPE_CHECKING:
    import numpy as np

HEIGHT = 600
FONT = 16
LINE = 26
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
        background = BACKGROUNDS["dark" if st.context.theme.type == "dark" else "light"]
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
