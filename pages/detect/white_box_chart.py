"""The chart of the trade between policies on the Detect page. Never told apart by colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from pages.detect.white_box_words import site_title
from pages.shared.charts import SYMBOLS, finished, label_sides, palette
from pages.shared.words import heading

if TYPE_CHECKING:
    from core.evaluation.white_box.record import TradePoint

HEIGHT = 520
POOLED, SITE = 18, 12  # sizes of marks


def trade_chart(trade: Mapping[str, Sequence[TradePoint]], ball: str) -> go.Figure:
    """Right under attack against right without one: a mark a policy and site, and a line from policy to policy.

    `trade`: policy → its points, that of all scans first, which is drawn larger; `ball`: the attack in words.
    """
    colours, ink = palette()
    figure = go.Figure()
    places = {site: _of_site(trade, site) for site in dict.fromkeys(p.site for own in trade.values() for p in own)}
    for site, found in places.items():
        pooled = site == next(iter(places))
        figure.add_scatter(
            x=[_across(point) for point in found], y=[_up(point) for point in found], mode="lines", showlegend=False,
            line={"width": 4 if pooled else 1.5, "color": ink, "dash": "solid" if pooled else "dot"}, hoverinfo="skip",
        )  # fmt: skip
    every = [(_across(point), _up(point), site_title(point.site)) for own in trade.values() for point in own]
    sides = iter(label_sides(every))
    for (policy, own), colour, symbol in zip(trade.items(), colours, SYMBOLS):
        size = [POOLED if place == 0 else SITE for place in range(len(own))]
        figure.add_scatter(
            x=[_across(point) for point in own], y=[_up(point) for point in own], mode="markers+text",
            name=f"{heading(policy)} policy", text=[site_title(point.site) for point in own], cliponaxis=False,
            textposition=[next(sides) for _ in own], textfont={"size": 14, "color": ink},
            marker={"size": size, "symbol": symbol, "color": colour, "line": {"width": 1.5, "color": ink}},
        )  # fmt: skip
    figure.update_xaxes(title={"text": "right answers without an attack (%)"}, nticks=6)
    figure.update_yaxes(title={"text": f"right answers under attack, {ball} (%)"}, nticks=6)
    return finished(figure, ink)


def _of_site(trade: Mapping[str, Sequence[TradePoint]], site: str) -> list[TradePoint]:
    return [point for own in trade.values() for point in own if point.site == site]


def _across(point: TradePoint) -> float:
    return 100 * point.unattacked.value


def _up(point: TradePoint) -> float:
    return 100 * point.attacked.value
