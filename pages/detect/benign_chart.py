"""The chart of benign changes on the Detect page. Never told apart by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from pages.shared.charts import BACKGROUNDS, finished, palette, theme

if TYPE_CHECKING:
    from core.evaluation.operating_points import Share

BAR, AXIS = 30, 90


def benign_height(count: int) -> int:
    """Room for so many bars."""
    return BAR * count + AXIS


def benign_bars(names: Sequence[str], shares: Sequence[Share], budget: float) -> go.Figure:
    """Share flagged after each benign change, with its interval; a dotted line at the budget of false alarms."""
    colours, ink = palette()
    values = [100 * share.value for share in shares]
    figure = go.Figure()
    figure.add_bar(
        x=values, y=list(range(len(names))), orientation="h", hoverinfo="skip", marker={"color": colours[0]},
        error_x={
            "array": [100 * share.high - value for share, value in zip(shares, values)],
            "arrayminus": [value - 100 * share.low for share, value in zip(shares, values)],
            "color": ink, "thickness": 1.5,
        },
    )  # fmt: skip
    for place, (share, value) in enumerate(zip(shares, values)):  # right of the interval, which a text would lie over
        figure.add_annotation(
            x=100 * share.high, y=place, text=f"<b>{value:.1f} %</b>", showarrow=False, xanchor="left", xshift=6,
            font={"size": 14, "color": ink}, bgcolor=BACKGROUNDS[theme()],
        )  # fmt: skip
    figure.add_vline(x=100 * budget, line={"width": 2, "color": ink, "dash": "dot"})
    most = max([100 * budget, *(100 * share.high for share in shares)])
    figure.update_xaxes(title={"text": "scans flagged (%); dotted: the budget of false alarms"}, range=[0, 1.15 * most])
    figure = finished(figure, ink)
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.4, -0.6])
    figure.update_layout(showlegend=False, bargap=0.35)
    return figure
