"""A poisoned site: what one that lies does to all, and which rule of the server holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.federate import charts
from pages.federate.words import POISON_TITLES, RULE_TITLES, commonest, how_made, points, share, share_alone, span
from pages.shared.records import draw_command, draw_finding
from pages.shared.visit.stage import draw_chart
from pages.shared.words import plain

if TYPE_CHECKING:
    from core.federation.record import FederationRecord, Poisoned

HEIGHT = 360
RULE_ABOUT = {
    "mean": "the mean of all updates, weighted by scans: a liar counts as much as it has scans",
    "median": "the median of each number: one liar among five can’t move it beyond the honest sites’ numbers",
    "krum": "the one update that lies nearest to the others; the rest is dropped, honest sites’ among it",
}


def draw_poison(record: FederationRecord) -> None:
    """The finding, the bars, and the table."""
    draw_finding(told(record))
    ends = "; ".join(
        f"{RULE_TITLES[row.rule]}, {POISON_TITLES[row.poison]}: {share(row.accuracy)}" for row in record.poisoned
    )
    draw_chart(charts.poison_bars(record.poisoned), HEIGHT, key="federate-poison", alt=f"Accuracy. {ends}")
    st.markdown("\n".join(f"- **{RULE_TITLES[rule]}**: {about}" for rule, about in RULE_ABOUT.items()))
    st.table([_row(row) for row in record.poisoned], hide_index=True)
    st.caption(
        f"The global network after the last round, on the true labels of all sites’ validation scans. The poisoned "
        f"site, {plain(record.poisoned_site)}, has the most scans. Labels flipped: it trains on the wrong class. Signs "
        "flipped: it sends the opposite of every change of a weight that it has learned, and BatchNorm’s statistics as "
        "they are. The cost is paired, against the same rule with all sites honest; intervals: 95 %, bootstrap over "
        "patients or near-duplicate groups. Median and Krum are Flower’s."
    )
    st.caption(how_made(record))
    draw_command(record.command)


def told(record: FederationRecord) -> str:
    """What the worst poison costs under each rule, and what there was to lose."""
    worst = {rule: _worst(record.poisoned, rule) for rule in RULE_TITLES}
    costs = ", ".join(f"{RULE_TITLES[rule]} **{points(-row.cost.value)}**" for rule, row in worst.items())
    moved = f"One poisoned site of {len(record.sites)}, at its worst, moves the accuracy by so many points: {costs}."
    return f"{moved} {_learned(record)}"


def _learned(record: FederationRecord) -> str:
    """What each rule reaches with all honest, and whether that is more than the commonest class always: if not, there
    was nothing to lose."""
    label, base = commonest(record)
    honest = {row.rule: row.accuracy.value for row in record.poisoned if row.poison == "none"}
    shares = ", ".join(f"{RULE_TITLES[rule]} {share_alone(value)}" for rule, value in honest.items())
    nothing = [RULE_TITLES[rule] for rule, value in honest.items() if value <= base]
    told = f"With all honest: {shares}; always ‘{plain(label)}’ is right in {share_alone(base)}."
    if not nothing:
        return told
    return f"{told} Under {' and '.join(nothing)} the network has learned no more than that, and had little to lose."


def _worst(rows: tuple[Poisoned, ...], rule: str) -> Poisoned:
    return max((row for row in rows if row.rule == rule and row.poison != "none"), key=lambda row: row.cost.value)


def _row(row: Poisoned) -> dict[str, str]:
    cost = "" if row.poison == "none" else span(row.cost)
    return {
        "Rule": RULE_TITLES[row.rule],
        "One site": POISON_TITLES[row.poison],
        "Accuracy": share(row.accuracy),
        "What the poison costs": cost,
    }
