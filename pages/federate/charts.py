"""Charts of the Federate page. Never told apart by colour alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from pages.federate.words import POISON_TITLES, RULE_TITLES, WAY_TITLES, place_title
from pages.shared.charts import BACKGROUNDS, DASHES, SYMBOLS, faded, finished, palette, theme

if TYPE_CHECKING:
    from core.federation.record import Poisoned, RoundFigures, SiteFacts

HATCHES = ("", "/", "x")
COLUMNS = 3
FONT = 15


def hatched(shapes: str | Sequence[str]) -> dict[str, Any]:
    """A pattern over bars of any colour, faint enough for the text on them."""
    ground = BACKGROUNDS[theme()]
    # Overlaid: a pattern otherwise takes the bar's own colour away.
    return {"shape": shapes, "fillmode": "overlay", "fgcolor": ground, "fgopacity": 0.45, "solidity": 0.15, "size": 9}


def label_bars(sites: Sequence[SiteFacts]) -> go.Figure:
    """One bar a site, as long as it has training scans, parted by class."""
    colours, ink = palette()
    figure, places = go.Figure(), list(range(len(sites)))
    most = max(sum(site.train.values()) for site in sites)
    for place, label in enumerate(sites[0].train):
        counts = [site.train.get(label, 0) for site in sites]
        figure.add_bar(
            x=counts, y=places, orientation="h", name=label, hoverinfo="skip",
            text=[f"<b>{count:,}</b>" if count > most / 12 else "" for count in counts],
            textposition="inside", insidetextanchor="middle", textangle=0,
            textfont={"size": FONT, "color": BACKGROUNDS[theme()]},
            marker={"color": colours[place], "pattern": hatched(HATCHES[place])},
        )  # fmt: skip
    figure = finished(figure, ink)
    figure.update_yaxes(tickvals=places, ticktext=[f"<b>{site.name}</b>" for site in sites])
    figure.update_yaxes(range=[len(sites) - 0.5, -0.5], ticklabelstandoff=8)
    figure.update_xaxes(title={"text": "training scans"})
    figure.update_layout(barmode="stack", bargap=0.3)
    return figure


def grey_levels(shares: Sequence[float], top: float) -> go.Figure:
    """How often each grey level comes among a site's pixels, on an axis up to `top`."""
    colours, ink = palette()
    centres = [(place + 0.5) / len(shares) for place in range(len(shares))]
    line = {"width": 2.5, "color": colours[0]}
    figure = go.Figure(
        go.Scatter(x=centres, y=shares, mode="lines", fill="tozeroy", line=line, fillcolor=faded(colours[0]))
    )
    figure.update_traces(hoverinfo="skip")
    figure = finished(figure, ink)
    figure.update_xaxes(range=[0, 1], tickvals=[0.15, 0.85], ticktext=["dark", "bright"])
    figure.update_yaxes(range=[0, top], showticklabels=False, title=None)
    figure.update_layout(showlegend=False, margin={"l": 20, "r": 20, "t": 4, "b": 4})
    return figure


def site_lines(rounds: Sequence[RoundFigures], sites: Sequence[str], now: int) -> go.Figure:
    """A chart a site: the accuracy of each way after every round, and a line at the round that is looked at."""
    from plotly.subplots import make_subplots

    colours, ink = palette()
    titles = [f"<b>{place_title(site)}</b>" for site in sites]
    grid = {"rows": math.ceil(len(sites) / COLUMNS), "cols": COLUMNS, "subplot_titles": titles}
    figure = make_subplots(**grid, shared_yaxes=True, horizontal_spacing=0.03, vertical_spacing=0.2)
    steps = list(range(1, len(rounds) + 1))
    lowest = min(each.figures[way][site].accuracy.value for each in rounds for way in WAY_TITLES for site in sites)
    for index, site in enumerate(sites):
        place = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
        for style, (way, title) in enumerate(WAY_TITLES.items()):
            figure.add_scatter(
                x=steps, y=[100 * each.figures[way][site].accuracy.value for each in rounds], **place,
                mode="lines+markers", name=title, legendgroup=way, showlegend=index == 0,
                line={"width": 3, "color": colours[style], "dash": DASHES[style]},
                marker={"size": 8, "symbol": SYMBOLS[style], "color": colours[style]},
                hovertemplate=f"{title}, round %{{x}}: %{{y:.1f}} %<extra></extra>",
            )  # fmt: skip
        figure.add_vline(x=now, line={"width": 2, "color": ink, "dash": "dot"}, **place)
    figure = finished(figure, ink)
    figure.update_annotations(font={"size": FONT, "color": ink})
    every = math.ceil(len(steps) / 4)  # more labels would run into one another on a narrow page
    figure.update_xaxes(tickvals=sorted({1, *steps[every - 1 :: every]}), range=[0.7, len(steps) + 0.3])
    figure.update_yaxes(range=[10 * math.floor(10 * lowest), 102], ticksuffix=" %")
    figure.update_layout(legend={"y": 1.1}, margin={"l": 8, "r": 16, "t": 56, "b": 8})
    return figure


def gate_bars(weights: Mapping[str, float], own: str) -> go.Figure:
    """One bar a site's network, as long as the gate trusts it; hatched where it is the scan's own site."""
    colours, ink = palette()
    places = list(range(len(weights)))
    shares = [100 * weight for weight in weights.values()]
    figure = go.Figure()
    figure.add_bar(
        x=shares, y=places, orientation="h", hoverinfo="skip", cliponaxis=False,
        text=[f"{share:.0f} %" for share in shares], textposition="outside", textfont={"size": FONT, "color": ink},
        marker={
            "color": [colours[1] if name == own else colours[0] for name in weights],
            "pattern": hatched(["/" if name == own else "" for name in weights]),
        },
    )  # fmt: skip
    figure = finished(figure, ink)
    figure.update_xaxes(range=[0, 200], visible=False)
    names = [f"<b>{name}</b>" if name == own else name for name in weights]
    figure.update_yaxes(tickvals=places, ticktext=names, range=[len(names) - 0.5, -0.5], ticklabelstandoff=4)
    figure.update_layout(showlegend=False, bargap=0.3, margin={"l": 4, "r": 4, "t": 4, "b": 4})
    return figure


def size_bars(sizes: Mapping[str, int], texts: Sequence[str]) -> go.Figure:
    """One bar a thing that is sent, as long as its bytes, on an axis in powers of ten."""
    colours, ink = palette()
    places = list(range(len(sizes)))
    figure = go.Figure()
    figure.add_bar(
        x=[size / 1000 for size in sizes.values()], y=places, orientation="h", hoverinfo="skip", cliponaxis=False,
        text=[f"<b>{text}</b>" for text in texts], textposition="outside", textfont={"size": FONT, "color": ink},
        marker={"color": colours[0]},
    )  # fmt: skip
    figure = finished(figure, ink)
    top = math.ceil(math.log10(max(sizes.values()) / 1000))
    figure.update_xaxes(type="log", range=[0, top + 0.4], title={"text": "KB in a round, powers of ten"})
    figure.update_xaxes(tickvals=[10**power for power in range(top + 1)], tickformat=",")
    figure.update_yaxes(tickvals=places, ticktext=list(sizes), range=[len(sizes) - 0.5, -0.5], ticklabelstandoff=8)
    figure.update_layout(showlegend=False, bargap=0.35)
    return figure


def poison_bars(rows: Sequence[Poisoned]) -> go.Figure:
    """For each rule a bar honest and a bar under each poison, with its interval."""
    colours, ink = palette()
    figure, rules = go.Figure(), list(RULE_TITLES)
    for style, (poison, title) in enumerate(POISON_TITLES.items()):
        found = [next(row.accuracy for row in rows if (row.rule, row.poison) == (rule, poison)) for rule in rules]
        figure.add_bar(
            x=[RULE_TITLES[rule] for rule in rules], y=[100 * one.value for one in found], name=title,
            hoverinfo="skip", text=[f"<b>{100 * one.value:.1f}</b>" for one in found], textposition="inside",
            insidetextanchor="start", textangle=0, textfont={"size": FONT, "color": BACKGROUNDS[theme()]},
            marker={"color": colours[style], "pattern": hatched(HATCHES[style])},
            error_y={
                "array": [100 * (one.high - one.value) for one in found],
                "arrayminus": [100 * (one.value - one.low) for one in found],
                "color": ink, "thickness": 2,
            },
        )  # fmt: skip
    figure = finished(figure, ink)
    figure.update_yaxes(range=[0, 104], ticksuffix=" %", title={"text": "accuracy over all sites"})
    figure.update_layout(barmode="group", bargap=0.25)
    return figure
