"""Strip charts of the scores against the calibration scans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import COLOURS, CONFIG, FLOOR, theme
from pages.shared.words import number, score_words, standing

if TYPE_CHECKING:
    from core import Bundle, Detection

HEIGHT = 320


def draw_scores(detection: Detection, bundle: Bundle, classifier: str) -> None:
    """One strip chart a score: clean and attacked calibration scans, the threshold, this scan."""
    calibration = bundle.calibrations[classifier]
    grid = st.grid(len(detection.scores), min_column_width=300)
    for name, score in detection.scores.items():
        words, threshold, clean = score_words(name), detection.thresholds[name], calibration.clean[name]
        rows = {"clean": clean} | {attack: values[name] for attack, values in calibration.attacked.items()}
        side = "above" if score > threshold else "below"
        where = standing(detection.percentiles[name], len(clean))
        with grid.container(border=True, height="stretch"):
            st.markdown(f"**{words.name}**")
            st.markdown(words.question)
            st.plotly_chart(
                strip(rows, score, threshold, words.axis),
                height=HEIGHT,
                config=CONFIG,
                key=f"strip-{name}",
                alt=f"{words.name}: this scan at {number(score)}, {side} the threshold {number(threshold)}, {where}",
            )
            st.markdown(f"This scan **{number(score)}**, {side} the threshold {number(threshold)}: {where}.")


def strip(rows: dict[str, list[float]], score: float, threshold: float, axis: str) -> go.Figure:
    """Every calibration scan as a point in its row; lines for the threshold (dashed) and this scan (solid)."""
    blue, orange, ink = COLOURS[theme()]
    low, high = _span([*rows.values(), [score, threshold]])
    logarithmic = high > 50 * low
    figure = go.Figure()
    for index, (title, values) in enumerate(rows.items()):
        colour, symbol = (orange, "x") if index else (blue, "circle")
        figure.add_box(
            x=[max(value, FLOOR) for value in values], name=title, orientation="h", boxpoints="all", jitter=1,
            pointpos=0, width=0.75, fillcolor="rgba(0,0,0,0)", line_color="rgba(0,0,0,0)", hoverinfo="x",
            marker={"size": 4, "opacity": 0.5, "color": colour, "symbol": symbol},
        )  # fmt: skip
    figure.add_vline(x=threshold, line={"dash": "dash", "width": 2, "color": ink})
    figure.add_vline(x=max(score, FLOOR), line={"width": 4, "color": ink})
    # On a logarithmic axis Plotly places lines by value, but texts and ranges by exponent.
    place = math.log10 if logarithmic else float
    font = {"size": 14, "color": ink}
    labels = ((1.0, max(score, FLOOR), "<b>this scan</b>"), (1.15, threshold, "threshold"))
    for height, value, text in labels:
        figure.add_annotation(
            x=place(value), y=height, yref="paper", text=text, showarrow=False, yanchor="bottom", font=font,
            xanchor=_anchor((place(value) - place(low)) / max(place(high) - place(low), FLOOR)),
        )  # fmt: skip
    margin = 0.12 * (place(high) - place(low))
    figure.update_xaxes(
        type="log" if logarithmic else "linear", range=[place(low) - margin, place(high) + margin], nticks=5,
        exponentformat="power", title={"text": axis, "font": font}, tickfont=font,
    )  # fmt: skip
    # Clean on top, as it is read first.
    figure.update_yaxes(tickfont=font, autorange="reversed")
    figure.update_layout(showlegend=False, margin={"l": 8, "r": 8, "t": 60, "b": 8})
    return figure


def _anchor(position: float) -> str:
    """A text near an edge grows away from it, so that it isn't cut off."""
    return "left" if position < 0.25 else "right" if position > 0.75 else "center"


def _span(rows: list[list[float]]) -> tuple[float, float]:
    values = [max(value, FLOOR) for row in rows for value in row]
    return min(values), max(values)
