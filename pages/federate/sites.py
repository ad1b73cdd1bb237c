"""Who takes part: each site's scans, how many of which class, and how its scanner shows them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import streamlit as st

from pages.federate import charts
from pages.federate.words import how_made
from pages.shared.charts import CONFIG
from pages.shared.records import draw_command, draw_finding
from pages.shared.visit.stage import draw_chart
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core.federation.record import FederationRecord, SiteFacts

BAR, AXIS = 48, 90
LOOK_HEIGHT = 120


def draw_sites(record: FederationRecord) -> None:
    """The finding, the bars of labels, and a card a site."""
    draw_finding(told(record.sites))
    counts = "; ".join(f"{site.name}: {_counts(site)}" for site in record.sites)
    height = BAR * len(record.sites) + AXIS
    draw_chart(charts.label_bars(record.sites), height, key="federate-labels", alt=f"Training scans. {counts}")
    st.header("How each site’s scans look", anchor=False)
    top = 1.1 * max(max(site.histogram) for site in record.sites)
    grid = st.grid(len(record.sites), min_column_width=165, gap="small")
    for site in record.sites:
        with grid.container(border=True, height="stretch", gap="small"):
            _draw_site(site, top)
    st.caption(
        "The curve: how often each grey level comes among the pixels above the background, on one scale for all "
        "sites. The mean picture is that of all training scans of a site, and shows no single scan."
    )
    st.caption(how_made(record))
    draw_command(record.command)


def _draw_site(site: SiteFacts, top: float) -> None:
    st.subheader(plain(site.name), anchor=False)
    st.markdown(f"**{sum(site.train.values()):,}** to train on, **{sum(site.val.values())}** to measure on")
    alt = f"{site.name}: how often each grey level comes"
    figure = charts.grey_levels(site.histogram, top)
    st.plotly_chart(figure, height=LOOK_HEIGHT, config=CONFIG, key=f"look-{site.name}", alt=alt)
    # Small pictures side by side: on a narrow card they wrap.
    pictures = st.grid(2, min_column_width=60, gap="small")
    pictures.image(
        base64.b64decode(site.mean_picture), "mean", "stretch", output_format="PNG", alt=f"{site.name}: mean picture"
    )
    for place, picture in enumerate(site.pictures, 1):
        about = f"{site.name}: scan {place}"
        pictures.image(base64.b64decode(picture), f"scan {place}", "stretch", output_format="PNG", alt=about)
    st.markdown(plain(site.description))
    st.caption(f"{plain(heading(site.source))}.")


def told(sites: tuple[SiteFacts, ...]) -> str:
    """How unlike the sites are; from their counts."""
    totals = {site.name: sum(site.train.values()) for site in sites}
    largest, smallest = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
    sentence = (
        f"**{len(sites)} sites** keep their **{sum(totals.values()):,} scans**; {plain(largest)} has "
        f"{totals[largest] / max(totals[smallest], 1):.1f} times as many as {plain(smallest)}"
    )
    lacking = [
        f"{plain(site.name)} has no scan of the class ‘{plain(label)}’"
        for site in sites
        for label, count in site.train.items()
        if not count
    ]
    return f"{'; '.join([sentence, *lacking])}."


def _counts(site: SiteFacts) -> str:
    return ", ".join(f"{count:,} {label}" for label, count in site.train.items())
