"""What a choice of thresholds costs: large for the class, in cards, and site by site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.pictures import draw_large_number
from pages.shared.records.figures import full_text, share_text, span_text
from pages.shared.visit.stage import staged

if TYPE_CHECKING:
    from core.evaluation.operating_points import OperatingPoint


def draw_to_class(cost: OperatingPoint) -> None:
    """What one gives and what one gets, large."""
    figures = (
        ("Clean scans flagged in vain", cost.false_alarms),
        ("Attacked scans missed", cost.misses),
        ("Attacked: right undefended", cost.undefended_attacked),
        ("Attacked: right defended", cost.defended_attacked),
    )
    with staged():
        grid = st.grid(2, min_column_width=200)
        for title, share in figures:
            with grid.container(border=True, gap="xxsmall"):
                st.markdown(f"**{title}**")
                draw_large_number(share_text(share), f"{title}: {share_text(share)}")


def draw_figures(cost: OperatingPoint, purifies: bool) -> None:
    """The cost in cards; `purifies`: as of the limits, whether there is anything to say of purification."""
    figures = (
        ("False alarms", cost.false_alarms),
        ("Misses", cost.misses),
        ("Attacked and flagged", cost.flagged),
        ("Clean and altered", cost.altered_clean),
        ("Attacked and altered", cost.altered),
        ("Defended, clean", cost.defended_clean),
        ("Defended, attacked", cost.defended_attacked),
        ("Undefended, attacked", cost.undefended_attacked),
    )
    with st.container(key="operating-point"):
        grid = st.grid(4, min_column_width=165)
        for title, share in ((title, share) for title, share in figures if share):
            with grid.container(border=True, height="stretch", gap=None):
                st.metric(title, share_text(share))
                st.markdown(span_text(share))
        if purifies:
            with grid.container(border=True, height="stretch", gap=None):
                st.metric("Put right by purification", f"{cost.turned_right}")
                st.markdown(f"scans; turned wrong: {cost.turned_wrong}; left standing: {cost.let_stand}")
        with grid.container(border=True, height="stretch", gap=None):
            st.metric("Time a clean scan", f"{cost.seconds:.2f} s")
            st.markdown("mean, with purification" if purifies else "mean")


def draw_sites(costs: Mapping[str, OperatingPoint]) -> None:
    """The same of each site's scans, where the record tells of several."""
    if not costs:
        return
    rows = [
        {
            "Site": site,
            "Scans": f"{cost.false_alarms.n}",
            "False alarms": full_text(cost.false_alarms),
            "Misses": full_text(cost.misses),
            "Attacked and flagged": full_text(cost.flagged),
        }
        | ({"Clean and altered": full_text(cost.altered_clean)} if cost.altered_clean else {})
        | ({"Attacked and altered": full_text(cost.altered)} if cost.altered else {})
        | {"Defended, clean": full_text(cost.defended_clean), "Defended, attacked": full_text(cost.defended_attacked)}
        for site, cost in costs.items()
    ]
    st.subheader("By site", anchor=False)
    st.table(rows, hide_index=True)
