"""Charts of the Across tasks page: a bar a task and series, with its interval. Never told apart by colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.shared.charts import BACKGROUNDS, finished, palette, theme

if TYPE_CHECKING:
    from core.evaluation.operating_points import Roc, Share

BAR, AXIS = 34, 110
WIDTH = 0.36  # of the room for a row, which two bars share
PATTERNS = ("/", "")
STRIPES = {"fillmode": "overlay", "fgopacity": 0.6}


class Bar(NamedTuple):
    """A measured value with the ends of its interval, in the chart's own units, and how it is written."""

    value: float
    low: float
    high: float
    text: str


def share_bar(share: Share | None) -> Bar | None:
    """A share in per cent."""
    if share is None:
        return None
    return Bar(100 * share.value, 100 * share.low, 100 * share.high, f"{100 * share.value:.1f} %")


def area_bar(curve: Roc | None) -> Bar | None:
    """The area under a curve."""
    return Bar(curve.auc, *curve.interval, f"{curve.auc:.3f}") if curve else None


def height_of(rows: int) -> int:
    """Room for so many rows of two bars."""
    return 2 * BAR * rows + AXIS


def paired_bars(
    rows: Sequence[str], series: Mapping[str, Sequence[Bar | None]], axis: str, most: float, line: float | None = None
) -> go.Figure:
    """Two bars a row, one of each series; None where there is nothing to draw.

    `most`: the largest value that there can be, or that is to be seen; `line`: where a dotted line stands.
    """
    colours, ink = palette()
    figure = go.Figure()
    for place, ((title, bars), colour, pattern) in enumerate(zip(series.items(), colours[1::-1], PATTERNS)):
        known = [(row + (place - 0.5) * WIDTH, bar) for row, bar in enumerate(bars) if bar]
        figure.add_bar(
            x=[bar.value for _, bar in known], y=[at for at, _ in known], orientation="h", name=title, width=WIDTH,
            hoverinfo="skip", error_x=_whiskers([bar for _, bar in known], ink),
            marker={"color": colour, "pattern": {"shape": pattern, **STRIPES, "fgcolor": BACKGROUNDS[theme()]}},
        )  # fmt: skip
        for at, bar in known:  # right of the interval, which a text would lie over
            figure.add_annotation(
                x=bar.high, y=at, text=f"<b>{bar.text}</b>", showarrow=False, xanchor="left", xshift=6,
                font={"size": 14, "color": ink}, bgcolor=BACKGROUNDS[theme()],
            )  # fmt: skip
    if line is not None:
        figure.add_vline(x=line, line={"width": 2, "color": ink, "dash": "dot"})
    figure = finished(figure, ink)
    figure.update_xaxes(title={"text": axis}, range=[0, 1.18 * most])
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.4, -0.6])
    figure.update_layout(barmode="overlay")
    return figure


def _whiskers(bars: Sequence[Bar], ink: str) -> dict[str, object]:
    return {
        "array": [bar.high - bar.value for bar in bars], "arrayminus": [bar.value - bar.low for bar in bars],
        "color": ink, "thickness": 1.5,
    }  # fmt: skip
