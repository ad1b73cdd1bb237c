"""Strip charts of the scores against the calibration scans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import COLOURS, CONFIG, FLOOR, theme
from pages.shared.words import number, score_words, standing

if TYPE_CHECKING:
    from core import Bundle, Detection

HEIGHT = 320
GREY = "#8a8a8a"
BLIND = "Doesn’t tell attacked from clean scans here; shown for the record."


def draw_scores(detection: Detection, bundle: Bundle, classifier: str, blind: frozenset[str]) -> None:
    """One strip chart a score: clean and attacked calibration scans, the threshold if it has one, this scan.

    `blind`: the scores that don't tell attacks, which are drawn grey and last.
    """
    recorded = bundle.clean_scores(classifier)
    attacked = {} if classifier in bundle.added else bundle.calibrations[classifier].attacked
    grid = st.grid(2 if len(detection.scores) == 4 else 3, min_column_width=300)
    for name in sorted(detection.scores, key=lambda name: name in blind):
        score, words, clean = detection.scores[name], score_words(name), recorded.get(name)
        threshold = detection.thresholds.get(name)
        side = _side(score, threshold)
        if clean is None:
            with grid.container(border=True, height="stretch"):
                st.markdown(f"**{words.name}**")
                st.markdown(words.question)
                st.markdown(f"This scan **{number(score)}**, {side}. Clean scans are not recorded for this classifier.")
            continue
        rows = {"clean": clean} | {attack: values[name] for attack, values in attacked.items()}
        where = standing(detection.percentiles[name], len(clean))
        with grid.container(border=True, height="stretch"):
            st.markdown(f"**{words.name}**")
            st.markdown(words.question)
            if name in blind:
                st.markdown(f":gray[:material/visibility_off: {BLIND}]")
            st.plotly_chart(
                strip(rows, score, threshold, words.axis, name in blind),
                height=HEIGHT,
                config=CONFIG,
                key=f"strip-{name}",
                alt=f"{words.name}: this scan at {number(score)}, {side}, {where}",
            )
            st.markdown(f"This scan **{number(score)}**, {side}: {where}.")


def _side(score: float, threshold: float | None) -> str:
    if threshold is None:
        return "which decides nothing"
    return f"{'above' if score > threshold else 'below'} the threshold {number(threshold)}"


def strip(
    rows: dict[str, list[float]], score: float, threshold: float | None, axis: str, blind: bool = False
) -> go.Figure:
    """Every calibration scan as a point in its row, grey where the score is blind to attacks; lines for the threshold
    (dashed), if there is one, and this scan (solid)."""
    blue, orange, ink = COLOURS[theme()]
    if blind:
        blue = orange = GREY
    score = max(score, FLOOR)
    cuts = [] if threshold is None else [threshold]
    low, high = _span([*rows.values(), [score, *cuts]])
    logarithmic = high > 50 * low
    # On a logarithmic axis Plotly places lines by value, but texts and ranges by exponent.
    place = math.log10 if logarithmic else float
    start, width = place(low), max(place(high) - place(low), FLOOR)
    font = {"size": 14, "color": ink}

    def name(text: str, value: float, height: float) -> dict[str, Any]:
        anchor = _anchor((place(value) - start) / width)
        at = {"x": place(value), "y": height, "yref": "paper", "xanchor": anchor, "yanchor": "bottom"}
        return {"text": text, "font": font, "showarrow": False} | at

    horizontal = {
        "type": "log" if logarithmic else "linear", "range": [start - 0.12 * width, start + 1.12 * width], "nticks": 5,
        "exponentformat": "power", "title": {"text": axis, "font": font}, "tickfont": font,
    }  # fmt: skip
    if logarithmic:  # powers of ten alone: left to itself, Plotly writes small 2s and 5s between them
        horizontal["dtick"] = max(1, math.ceil(1.24 * width / 5))
    layout = {
        "shapes": [
            *(_line(cut, {"dash": "dash", "width": 2, "color": ink}) for cut in cuts),
            _line(score, {"width": 4, "color": ink}),
        ],
        "annotations": [name("<b>this scan</b>", score, 1.0), *(name("threshold", cut, 1.15) for cut in cuts)],
        "xaxis": horizontal,
        # Clean on top, as it is read first.
        "yaxis": {"tickfont": font, "autorange": "reversed"},
        "showlegend": False,
        "margin": {"l": 8, "r": 8, "t": 60, "b": 8},
    }
    # All at once: added one by one, the parts take Plotly many times as long.
    looks = [(blue, "circle"), *[(orange, "x")] * (len(rows) - 1)]
    return go.Figure([_points(title, values, *look) for (title, values), look in zip(rows.items(), looks)], layout)


def _points(title: str, values: list[float], colour: str, symbol: str) -> dict[str, Any]:
    nothing = "rgba(0,0,0,0)"
    return {
        "type": "box", "name": title, "x": [max(value, FLOOR) for value in values], "orientation": "h",
        "boxpoints": "all", "jitter": 1, "pointpos": 0, "width": 0.75, "hoverinfo": "x",
        "fillcolor": nothing, "line": {"color": nothing},
        "marker": {"size": 4, "opacity": 0.5, "color": colour, "symbol": symbol},
    }  # fmt: skip


def _line(value: float, look: dict[str, Any]) -> dict[str, Any]:
    return {"type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "y domain", "line": look}


def _anchor(position: float) -> str:
    """A text near an edge grows away from it, so that it isn't cut off."""
    return "left" if position < 0.25 else "right" if position > 0.75 else "center"


def _span(rows: list[list[float]]) -> tuple[float, float]:
    values = [max(value, FLOOR) for row in rows for value in row]
    return min(values), max(values)
