"""Federate: hospitals that train together and keep their scans, as recorded; and a small federation run live."""

from __future__ import annotations

import streamlit as st

from pages.federate import crossing, live, poison, rounds, sites
from pages.federate.open_record import open_record
from pages.federate.state import FederateState, current_state
from pages.shared.runtime import wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.visit.sections import pick_section
from pages.shared.visit.stage import lay_stage

SITES, ROUNDS, CROSSING, POISON, LIVE = "Sites", "Rounds", "Bytes", "Poison", "Live"
RECORDED = {
    SITES: sites.draw_sites,
    ROUNDS: rounds.draw_rounds,
    CROSSING: crossing.draw_crossing,
    POISON: poison.draw_poison,
}
SECTIONS = (*RECORDED, LIVE)


def draw_section(session: Session, section: str) -> None:
    """What is looked at; the others cost nothing."""
    known = session.state_of(FederateState)
    lay_stage(session, running=section == LIVE and known is not None and known.running)
    if section == LIVE:
        live.draw_live(current_state(session))
    elif (record := open_record()) is not None:
        RECORDED[section](record)


session = current_session()
wait_until_ready()
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Train together, keep the scans", anchor=False, width="content")
    section = pick_section("federate", SECTIONS)
draw_section(session, section)
