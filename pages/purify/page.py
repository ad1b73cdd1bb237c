"""Purify: watch an attack being washed out, compare the ways to do it, and see what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import start
from pages.purify.change import draw_change
from pages.purify.controls import begin_with
from pages.purify.figure import draw_recorded
from pages.purify.seeds import draw_seeds
from pages.purify.state import current_state, possible_settings
from pages.purify.timeline import TIMELINE, draw_timeline
from pages.purify.watch import draw_watch, reference_of
from pages.shared.empty_states import draw_missing_models, draw_problem, draw_start
from pages.shared.errors import end_page
from pages.shared.examinations import examination
from pages.shared.regions.share import Asked, answer_shares
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.story.cards import draw_story
from pages.shared.visit.sections import pick_section
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Examination

WATCH, CHANGE, SEEDS, TRADE = "Watch", "What changed", "Seeds", "Trade-off"
SECTIONS = (WATCH, TIMELINE, CHANGE, SEEDS, TRADE)
FIRST = "Press **Purify** under “Watch” first."
WAIT = "The purifiers under “Watch” are still at work, or have made nothing yet."


def draw_section(session: Session, section: str, before: Examination) -> None:
    """The section that is looked at; the others cost nothing."""
    if section == WATCH:
        draw_watch(session, before)
        return
    state = current_state(session)
    if section == SEEDS:
        draw_seeds(session, before)
    elif state is None or state.running or not state.begun.count:
        st.info(FIRST if state is None else WAIT, icon=":material/info:")
    elif section == TIMELINE:
        draw_timeline(session, state)
    else:
        draw_change(session, state)


session = current_session()
wait_until_ready()
draw_problem(session)
if session.scan is None:
    draw_start("Purify")
    st.header("What purification buys, and what it costs", anchor=False)
    draw_recorded(session)
    end_page()

models = bundle(session.bundle)
if session.visit.asked.pop("purify", None):
    begin_with(session.purify, session.purify_seed, models)
session.purify = possible_settings(session.purify, models)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Purify a scan", anchor=False, width="content")
    section = pick_section("purify", SECTIONS)
if section == TRADE:
    draw_recorded(session)
    end_page()
start.take_attacked(session)
# In a place of its own: what it says while it waits must not move what stands below, of which some would stay, greyed.
with st.container():
    before = examination(session)
    reference = reference_of(session) if section == WATCH else None
if before.undefended is None:
    st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
    end_page()
if before.refused:
    st.warning(f"{plain(before.refused)} The answers below are for study only.", icon=":material/warning:")
asked: list[Asked] = []
if not session.visit.class_view:
    start.draw_input(session)
    if reference:
        asked = draw_story(session, reference, before)
if models.lacks:
    draw_missing_models(models)
    st.caption("What is left are filters that need no network.")
draw_section(session, section, before)
answer_shares(session, asked)
