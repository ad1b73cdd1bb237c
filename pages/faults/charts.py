"""Charts of the Faults page. Never told apart by colour alone: every block and bar says its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.faults.words import measured
from pages.shared.charts import DASHES, SYMBOLS, faded, finished, palette
from pages.shared.words import weight_text

if TYPE_CHECKING:
    from core.faults.record import Outcome

STRIP_HEIGHT = 185
HEIGHT = 430
FONT = 16
MOST_TEXTS = 14
FIELD_SHAPES = {"sign": "x", "exponent": "", "mantissa": "/"}


class Block(NamedTuple):
    """One layer of the strip: share of answers that flips in it changed (None: not measured), chosen, flips in it."""

    title: str
    share: float | None
    chosen: bool
    flips: int


class Line(NamedTuple):
    """A measured accuracy over something, with its intervals (None where there is none)."""

    title: str
    across: Sequence[float]
    accuracies: Sequence[float | None]
    intervals: Sequence[tuple[float, float] | None]


def block_text(block: Block) -> str:
    """A block's number in words."""
    return "not measured" if block.share is None else f"{measured(block.share)} of answers changed"


def strip(blocks: Sequence[Block]) -> go.Figure:
    """Layers from left to right; height, colour and number all say how sensitive each is."""
    colours, ink = palette()
    known = [block.share for block in blocks if block.share is not None]
    most = max([*known, 0.01])
    shares = [0.5 * most if block.share is None else max(block.share, 0.05 * most) for block in blocks]
    texts = []
    for block in blocks:
        number = "" if block.share is None else weight_text(block.share).replace("under ", "<").replace(" %", "%")
        texts.append(f"<b>{number}</b>" + (f"<br>{block.flips} flipped" if block.flips else ""))
    fills = [faded(colours[1], 0.15 + 0.85 * (block.share or 0) / most) for block in blocks]
    names = [f"<b>{block.title}</b>" if block.chosen else block.title for block in blocks]
    figure = go.Figure()
    figure.add_bar(
        x=list(range(len(blocks))), y=shares, text=texts, textposition="outside", cliponaxis=False, hoverinfo="skip",
        constraintext="none", textfont={"size": FONT - (3 if len(blocks) > 12 else 1), "color": ink}, textangle=0,
        marker={
            "color": fills, "line": {"width": [4 if block.chosen else 1 for block in blocks], "color": ink},
        },
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip
    figure = finished(figure, ink)
    font = {"size": FONT - (3 if len(blocks) > 12 else 1), "color": ink}
    figure.update_xaxes(tickvals=list(range(len(blocks))), ticktext=names, tickfont=font, fixedrange=True)
    figure.update_yaxes(range=[0, 1.4 * most], visible=False, fixedrange=True)
    figure.update_layout(
        showlegend=False, bargap=0.12, clickmode="event+select", margin={"l": 12, "r": 12, "t": 4, "b": 0}
    )
    return figure


def accuracy_lines(lines: Sequence[Line], axis: str, ticks: Sequence[float], drop: float = 0.22) -> go.Figure:
    """Accuracies over something that doubles from tick to tick, with bands for their intervals.

    `drop` is how far below the axes the legend begins, in shares of their height.
    """
    colours, ink = palette()
    places = {tick: place for place, tick in enumerate(ticks)}
    figure = go.Figure()
    for number, line in enumerate(lines):
        colour, dash = colours[number % len(colours)], DASHES[number % len(DASHES)]
        across = [places[value] for value in line.across]
        known = [pair for pair in zip(across, line.intervals) if pair[1]]
        if known:
            there, back = [place for place, _ in known], [place for place, _ in reversed(known)]
            high, low = [100 * pair[1] for _, pair in known], [100 * pair[0] for _, pair in reversed(known)]
            figure.add_scatter(
                x=[*there, *back], y=[*high, *low], fill="toself", hoverinfo="skip", mode="lines", showlegend=False,
                fillcolor=faded(colour, 0.16), line={"width": 0}, legendgroup=line.title,
            )  # fmt: skip
        figure.add_scatter(
            x=across, y=[None if value is None else 100 * value for value in line.accuracies], name=line.title,
            mode="lines+markers", line={"width": 4, "color": colour, "dash": dash}, legendgroup=line.title,
            marker={"size": 12, "symbol": SYMBOLS[number % len(SYMBOLS)], "color": colour}, cliponaxis=False,
        )  # fmt: skip
    figure.update_xaxes(
        title={"text": axis}, tickvals=list(places.values()), ticktext=[f"{tick:g}" for tick in ticks],
        range=[-0.15, len(ticks) - 0.85],
    )  # fmt: skip
    figure.update_yaxes(title={"text": "accuracy (%)"}, range=[-3, 103])
    figure = finished(figure, ink)
    # Below, where it is in nobody's way however many lines it takes.
    legend = {"orientation": "h", "y": -drop, "yanchor": "top"}
    figure.update_layout(legend=legend, showlegend=len(lines) > 1)
    return figure


class Bar(NamedTuple):
    """One bar: its name, which group it belongs to, and what was measured."""

    title: str
    group: str
    outcome: Outcome


def accuracy_bars(bars: Sequence[Bar], axis: str) -> go.Figure:
    """An accuracy a bar, with its interval; groups by colour and hatching."""
    colours, ink = palette()
    on_bars = "#000000" if ink == "#ffffff" else "#ffffff"  # the colours of bars are bright on dark, and dark on bright
    figure = go.Figure()
    groups = list(dict.fromkeys(bar.group for bar in bars))
    shapes = [FIELD_SHAPES.get(group, "") for group in groups]
    for number, (group, shape) in enumerate(zip(groups, shapes)):
        shown = [(place, bar) for place, bar in enumerate(bars) if bar.group == group]
        values = [100 * (bar.outcome.accuracy or 0) for _, bar in shown]
        ends = [bar.outcome.interval or (bar.outcome.accuracy or 0,) * 2 for _, bar in shown]
        figure.add_bar(
            x=[place for place, _ in shown], y=values, name=group, showlegend=len(groups) > 1,
            error_y={
                "array": [100 * end[1] - value for end, value in zip(ends, values)],
                "arrayminus": [value - 100 * end[0] for end, value in zip(ends, values)],
                "color": ink, "thickness": 2, "width": 4,
            },
            marker={
                "color": colours[number % len(colours)], "line": {"width": 1, "color": ink},
                "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": ink, "fgopacity": 0.6},
            },
            text=[f"<b>{value:.0f} %</b>" for value in values] if len(bars) <= MOST_TEXTS else None,
            textposition="inside", insidetextanchor="middle", textangle=0, textfont={"size": FONT, "color": on_bars},
            customdata=[bar.title for _, bar in shown], hovertemplate="%{customdata}: %{y:.1f} %<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        title={"text": axis}, tickvals=list(range(len(bars))), ticktext=[bar.title for bar in bars],
        tickangle=-90 if len(bars) > 12 else None,
    )  # fmt: skip
    figure.update_yaxes(title={"text": "accuracy (%)"}, range=[0, 106])
    return finished(figure, ink)


def grid_map(columns: Sequence[str], rows: Sequence[str], shares: Sequence[Sequence[float | None]]) -> go.Figure:
    """Accuracies in a grid, each cell with its number."""
    colours, ink = palette()
    values = [[None if share is None else 100 * share for share in row] for row in shares]
    texts = [["" if value is None else f"<b>{value:.0f} %</b>" for value in row] for row in values]
    figure = go.Figure()
    figure.add_heatmap(
        x=list(columns), y=list(rows), z=values, text=texts, texttemplate="%{text}", zmin=0, zmax=100,
        textfont={"size": FONT + 2}, showscale=False, hoverinfo="skip", xgap=3, ygap=3,
        colorscale=[[0, "#8f4400"], [0.5, "#fdebd6"], [1, "#0b5a94"]],
    )  # fmt: skip
    figure.update_xaxes(title={"text": "ε of PGD, in 1/255"}, type="category")
    figure.update_yaxes(title={"text": "random flips"}, type="category")
    return finished(figure, ink)
