"""Charts of the Experts page: who counts how much. Never told apart by colour alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from pages.experts.findings import points
from pages.shared.charts import DASHES, SYMBOLS, finished, palette
from pages.shared.words import percent, weight_text

if TYPE_CHECKING:
    from core.explanation.mixture import GateChange, MixtureOutput

BAR = 46
AXIS = 66
SHAPES = ("", "/", ".", "x")
FONT = 16
ENDS = (20, 40, 100)
CHANGE_ENDS = (1, 2, 5, 10, 20, 50, 100)


class Line(NamedTuple):
    """changes: (N,) of one expert's weight along the path, against its beginning, in [-1, 1]."""

    title: str
    changes: Sequence[float]


def bars_height(count: int) -> int:
    """Room for so many bars."""
    return BAR * count + AXIS


def axis_end(outputs: Iterable[MixtureOutput]) -> int:
    """Where an axis of weights ends, in per cent: nine even weights would be stubs on one up to 100 %."""
    most = 100 * max(weight for output in outputs for weight in output.weights)
    return next(end for end in ENDS if most <= end or end == ENDS[-1])


def change_end(changes: Iterable[GateChange]) -> int:
    """Where an axis of changes ends, in points: as near as the largest allows, so that small ones are seen."""
    most = 100 * max(change.most for change in changes)
    return next(end for end in CHANGE_ENDS if most <= end or end == CHANGE_ENDS[-1])


def bars(output: MixtureOutput, switched_on: Sequence[bool], end: int, short: bool = False) -> go.Figure:
    """One bar an expert, as long as its weight; named, coloured and hatched by the class that it answers with.

    `end` is where the axis ends, in per cent; `short` names the class alone, without its probability.
    """
    shares = [100 * weight if on else 0 for weight, on in zip(output.weights, switched_on)]
    texts = [f"<b>{weight_text(weight)}</b>" if on else "" for weight, on in zip(output.weights, switched_on)]
    figure = _bars(output, switched_on, shares, texts, short)
    # Room right of a full bar for its text.
    ticks = [0, end // 2, end]
    figure.update_xaxes(
        range=[0, end * (1.3 if short else 1.2)], tickvals=ticks, ticktext=[f"{tick} %" for tick in ticks],
        title={"text": "weight in the gate"},
    )  # fmt: skip
    return figure


def change_bars(output: MixtureOutput, switched_on: Sequence[bool], change: GateChange, end: int) -> go.Figure:
    """One bar an expert, as long as its weight has changed, on an axis from −`end` to `end` points."""
    shares = [100 * moved if on else 0 for moved, on in zip(change.points, switched_on)]
    texts = [f"<b>{points(moved)}</b>" if on else "" for moved, on in zip(change.points, switched_on)]
    figure = _bars(output, switched_on, shares, texts, short=True)
    figure.add_vline(x=0, line={"width": 2, "color": palette()[1]})
    # Room on both sides for the texts.
    figure.update_xaxes(
        range=[-1.6 * end, 1.6 * end], tickvals=[-end, 0, end], ticktext=[f"−{end}", "0", f"+{end}"], zeroline=False,
        title={"text": "change, in points"},
    )  # fmt: skip
    return figure


def _bars(
    output: MixtureOutput, switched_on: Sequence[bool], shares: Sequence[float], texts: Sequence[str], short: bool
) -> go.Figure:
    colours, ink = palette()
    classes = list(output.answer.probabilities)
    names, fills, shapes = [], [], []
    for said, on in zip(output.experts, switched_on):
        place = classes.index(said.label)
        answer = said.label if short else f"{said.label}, {percent(said.confidence)}"
        names.append(f"<b>{said.classifier}</b><br>{f'says {answer}' if on else 'switched off'}")
        fills.append(colours[place % len(colours)])
        shapes.append(SHAPES[place % len(SHAPES)])
    figure = go.Figure()
    figure.add_bar(
        x=shares, y=list(range(len(names))), orientation="h", text=texts, textposition="outside", cliponaxis=False,
        textfont={"size": FONT + 2, "color": ink}, hoverinfo="skip",
        marker={"color": fills, "line": {"width": 1, "color": ink}, "pattern": {"shape": shapes, "fgcolor": ink}},
    )  # fmt: skip
    figure = finished(figure, ink)
    font = {"size": FONT, "color": ink}
    ticks = {"tickvals": list(range(len(names))), "ticktext": names}
    figure.update_yaxes(**ticks, tickfont=font, ticklabelstandoff=8, range=[len(names) - 0.5, -0.5])
    figure.update_layout(showlegend=False, bargap=0.35)
    return figure


def gate_lines(lines: Sequence[Line], eps: Sequence[float], now: float, end: int) -> go.Figure:
    """How every expert's weight changes over ε, on an axis of ± `end` points, and a line at the ε that is looked at."""
    colours, ink = palette()
    figure = go.Figure()
    for line, (colour, question) in zip(lines, _looks([line.title for line in lines])):
        figure.add_scatter(
            x=eps, y=[100 * change for change in line.changes], mode="lines+markers", name=line.title,
            line={"width": 3.5, "color": colours[colour], "dash": DASHES[question]},
            marker={"size": 9, "symbol": SYMBOLS[question], "color": colours[colour], "maxdisplayed": 9},
        )  # fmt: skip
    figure.add_vline(x=now, line={"width": 4, "color": ink})
    text = f"<b>ε = {now:g}/255</b>"
    figure.add_annotation(
        x=now, y=1, yref="paper", text=text, showarrow=False, yanchor="bottom", font={"size": FONT, "color": ink},
        xanchor="left" if now < 4 else "right" if now > 12 else "center",
    )  # fmt: skip
    figure.update_xaxes(range=[-0.3, 16.3], dtick=2)  # no title: the legend below would lie over it
    figure.update_yaxes(title={"text": "points more or less than clean"}, range=[-1.05 * end, 1.05 * end])
    figure = finished(figure, ink)
    legend = {"orientation": "h", "y": -0.12, "yanchor": "top"}
    figure.update_layout(legend=legend, margin={"l": 8, "r": 16, "t": 32, "b": 8})
    return figure


def _looks(titles: Sequence[str]) -> list[tuple[int, int]]:
    """Place among the colours and among the dashes of each line: of many experts those named alike share a colour."""
    if len(titles) <= len(DASHES):
        return [(place, place) for place in range(len(titles))]
    families: dict[str, int] = {}
    attributions = []
    for title in titles:
        family = title.replace("-", " ").split(" ")[0]
        attributions.append((list(dict.fromkeys([*families, family])).index(family) % 4, families.get(family, 0) % 4))
        families[family] = families.get(family, 0) + 1
    return attributions
