"""White box: how the defence holds against an attacker who knows all of it, and what that costs unattacked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.detect.white_box_chart import HEIGHT, trade_chart
from pages.detect.white_box_words import attacker_rows, ball_words, made_told, site_rows, trade_told, verdicts_told
from pages.shared.records import draw_command, draw_finding, draw_unrecorded
from pages.shared.visit.stage import draw_chart
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core import Bundle
    from core.evaluation.white_box.record import Ball, TradePoint

Record = Mapping[str, Any]
UNMEASURED = "No attack of a limited size was measured yet, or not the scans without one."
NOTHING_DRAWN = "Nothing is purified here, so that nothing is drawn at random: a scan sent again is answered alike."
MEASURE = "python -m training.measure.white_box --data FILE --bundle {bundle} --policy {policy}"
WHAT = (
    "The strongest attackers here know the classifier, the detector with its thresholds and the purifier, and work "
    "against all of them at once; others know less. Each scan meets the worst for it of those that were measured."
)


def draw_white_box(models: Bundle) -> None:
    """The trade between the policies, site by site, and every attacker's row."""
    results = models.folder / "results.json"
    stamp = results.stat().st_mtime_ns if results.is_file() else 0
    key = (models.name, stamp, *models.hashes.values())
    records = _records(key, models)
    for policy in (policy for policy, record in records.items() if not record):
        command = MEASURE.format(bundle=models.name, policy=policy)
        whose = f"the {policy} policy"
        draw_unrecorded(f"Not measured with the weights of today: {whose}.", command, whose)
    known = {policy: record for policy, record in records.items() if record}
    if not known:
        return
    st.markdown(WHAT)
    ball, reading = _draw_choice(models, known)
    trade = _trade(key, ball, reading, known) if ball else {}
    if not trade:
        st.info(UNMEASURED, icon=":material/info:")
        return
    draw_finding(trade_told(trade, ball))
    if sum(len(points) for points in trade.values()) > 1:
        draw_chart(
            trade_chart(trade, ball_words(*ball)), HEIGHT, key="white-box-trade",
            alt="Right answers under attack against right answers without one, by policy and site",
        )  # fmt: skip
    st.table(site_rows(trade), hide_index=True)
    for policy, record in known.items():
        _draw_attackers(policy, record, reading)


@st.cache_resource(show_spinner=False, max_entries=8)
def _records(key: tuple[object, ...], _models: Bundle) -> dict[str, Record]:
    """Policy → what is recorded; thresholds are fitted anew for that, so it is asked once."""
    from core.bundles import policy_classifiers
    from core.evaluation.white_box.record import record_of_today

    return {policy: record_of_today(_models, policy) for policy in policy_classifiers(_models)}


def _draw_choice(models: Bundle, known: Mapping[str, Record]) -> tuple[Ball | None, str]:
    """How far the attacker may go, and how often a scan is submitted, where anything is drawn at random."""
    from core.evaluation.white_box.readings import READINGS
    from core.evaluation.white_box.record import measured_balls

    balls = list(dict.fromkeys(ball for record in known.values() for ball in measured_balls(record)))
    left, right = st.columns(2)
    ball = left.selectbox(
        "Attack", balls, key="white-box-ball", format_func=lambda ball: ball_words(*ball), persist_state="session"
    )
    if not any(models.limits_of(record["classifier"]).purifies for record in known.values()):
        right.caption(NOTHING_DRAWN)
        return ball, next(iter(READINGS))
    reading = right.selectbox(
        "Answers", READINGS, key="white-box-reading", persist_state="session",
        format_func=lambda name: f"{heading(name)}: {READINGS[name]}",
    )  # fmt: skip
    return ball, reading


@st.cache_resource(show_spinner=False, max_entries=64)
def _trade(
    key: tuple[object, ...], ball: Ball, reading: str, _known: Mapping[str, Record]
) -> dict[str, list[TradePoint]]:
    """Policy → its points, where there are any; every interval is a bootstrap, so it is asked once."""
    from core.evaluation.white_box.record import trade_points

    found = {policy: trade_points(record, reading, ball) for policy, record in _known.items()}
    return {policy: points for policy, points in found.items() if points}


def _draw_attackers(policy: str, record: Record, reading: str) -> None:
    """Every attacker's row, and what tests for masked gradients say of it."""
    with st.expander(f"Attacker by attacker: the {policy} policy", icon=":material/table:"):
        st.table(attacker_rows(record, reading), hide_index=True)
        for line in verdicts_told(record):
            st.markdown(plain(line))
    st.caption(f"{heading(policy)}: {plain(made_told(record))}")
    draw_command("\n".join(row["command"] for row in record["rows"]), f"the {policy} policy")
