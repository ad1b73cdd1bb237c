"""Round by round: what each site has from the global network, the personal mixture, and from training alone."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.federate import charts
from pages.federate.words import (
    WAY_ABOUT,
    WAY_TITLES,
    commonest,
    compared,
    how_made,
    place_title,
    share,
    share_alone,
    span,
)
from pages.shared.charts import CONFIG
from pages.shared.records import draw_command, draw_finding
from pages.shared.visit.stage import draw_chart
from pages.shared.words import plain

if TYPE_CHECKING:
    from core.federation.record import FederationRecord, Figure, Unseen

LINES_HEIGHT = 500
GATE_HEIGHT = 190
INTERVALS = "Intervals: 95 %, bootstrap over patients or near-duplicate groups"


def draw_rounds(record: FederationRecord) -> None:
    """The finding, a chart a site, the round that is looked at, the gate there, and who took no part."""
    sites = [site.name for site in record.sites]
    places = [*sites, "pooled"]
    draw_finding(told(record))
    now = _pick_round(len(record.rounds))
    ends = "; ".join(
        f"{place_title(place)}: "
        + ", ".join(
            f"{title} {share_alone(record.rounds[now - 1].figures[way][place].accuracy.value)}"
            for way, title in WAY_TITLES.items()
        )
        for place in places
    )
    figure = charts.site_lines(record.rounds, places, now)
    draw_chart(figure, LINES_HEIGHT, key="federate-lines", alt=f"Accuracy by round; round {now}: {ends}")
    st.markdown("\n".join(f"- **{WAY_TITLES[way]}**: {about}" for way, about in WAY_ABOUT.items()))
    st.subheader(f"After round {now}", anchor=False)
    label, base = commonest(record)
    figures, gate_rounds = record.rounds[now - 1].figures, record.settings["gate_rounds"]
    # Wide: on a narrow page it scrolls.
    st.dataframe([_row(place, {way: figures[way][place] for way in WAY_TITLES}) for place in places], hide_index=True)
    st.caption(
        f"Accuracy on validation scans; always ‘{plain(label)}’ is right in {share_alone(base)} of all. {INTERVALS}; "
        "with so few patients at a site they say little. The AUC needs scans of both classes. The mixture’s gate was "
        f"trained for each round on the side, in {gate_rounds} rounds."
    )
    _draw_gate(record, now)
    _draw_gains(record)
    _draw_unseen(record.unseen)
    st.caption(how_made(record))
    draw_command(record.command)


def _pick_round(count: int) -> int:
    if count < 2:
        return count
    return st.slider("Round", 1, count, count, key="federate-round", persist_state="session")


def told(record: FederationRecord) -> str:
    """What the federation brings over all sites after its last round; from the figures."""
    last = {way: record.rounds[-1].figures[way]["pooled"] for way in WAY_TITLES}
    shares = ", ".join(f"{WAY_TITLES[way]} **{share_alone(found.accuracy.value)}**" for way, found in last.items())
    said = " and ".join(compared(record.gains[way]["pooled"], WAY_TITLES[way]) for way in ("fedavg", "local"))
    return f"Over all sites, n = {last['mixture'].n}: {shares}. The mixture is {said}."


def _row(place: str, figures: Mapping[str, Figure]) -> dict[str, str]:
    row = {"Scans of": place_title(place), "n": f"{figures['mixture'].n:,}"}
    row["Patients, groups"] = str(figures["mixture"].groups)
    row |= {title: share(figures[way].accuracy) for way, title in WAY_TITLES.items()}
    areas = [figures[way].auc for way in WAY_TITLES]
    return row | {"AUC, in this order": " · ".join(f"{area.value:.2f}" for area in areas if area) or "one class alone"}


def _draw_gate(record: FederationRecord, now: int) -> None:
    st.subheader("Whom the mixture trusts, for one scan at each site", anchor=False)
    names = [site.name for site in record.sites]
    grid = st.grid(len(names), min_column_width=165, gap="small")
    for site in record.sites:
        weights = dict(zip(names, record.rounds[now - 1].gate[site.name]))
        with grid.container(border=True, height="stretch", gap="small"):
            st.markdown(f"**A scan of {plain(site.name)}** ({plain(site.followed)})")
            if site.pictures:
                alt = f"The scan of {site.name}"
                st.image(base64.b64decode(site.pictures[0]), width=150, output_format="PNG", alt=alt)
            else:
                st.markdown("_Not shown: its licence is unknown._")
            st.space("stretch")
            said = ", ".join(f"{name} {100 * weight:.0f} %" for name, weight in weights.items())
            figure, key = charts.gate_bars(weights, site.name), f"gate-{site.name}"
            st.plotly_chart(figure, height=GATE_HEIGHT, config=CONFIG, key=key, alt=f"Gate after round {now}: {said}")
    st.caption("How much each site’s network counts for this scan; the scan’s own site is hatched and in bold.")


def _draw_gains(record: FederationRecord) -> None:
    st.subheader("What the mixture gains, after the last round", anchor=False)
    places = [*(site.name for site in record.sites), "pooled"]
    rows = [
        {"Scans of": place_title(place)}
        | {f"Over {WAY_TITLES[way]}": span(gains[place]) for way, gains in record.gains.items()}
        for place in places
    ]
    st.dataframe(rows, hide_index=True)
    st.caption(f"Paired: the same scans under both. {INTERVALS}; one that holds 0 tells nothing apart.")


def _draw_unseen(unseen: tuple[Unseen, ...]) -> None:
    if not unseen:
        return
    st.subheader("At a site that took no part", anchor=False)
    rows = [
        {
            "Scans of": row.site,
            "Trained at": ", ".join(row.trained_on),
            "n": f"{row.n} of {row.groups} patient{'s' * (row.groups > 1)}",
            **{title: _share(row, way) for way, title in WAY_TITLES.items()},
            "Mixture over global": span(row.gains["fedavg"]) if row.groups > 1 else "no interval",
        }
        for row in unseen
    ]
    st.dataframe(rows, hide_index=True)
    st.caption(
        "‘Personal network’ and ‘Local only’ are here means over the networks of the sites that were trained at, and "
        "the mixture has the mean of their gates. Scans of a single patient have no interval, and one patient proves "
        "nothing."
    )


def _share(row: Unseen, way: str) -> str:
    return share(row.accuracy[way]) if row.groups > 1 else share_alone(row.accuracy[way].value)
