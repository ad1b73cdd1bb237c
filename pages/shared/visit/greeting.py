"""What a browser remembers of earlier loads: that its notice was read, and which visit this tab was."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.session import VISITS, Session, current_session, take_session
from pages.shared.visit.components import component

PATIENCE_SECONDS = 3.0
POLL_SECONDS = 0.05
HOME = "home"
MOST_SHOWN = 40  # letters of a name that isn't known


def greet(missed: str | None) -> Session:
    """Ask the browser what it remembers, once a load; the visitor's state, that of before the reload where it is held.

    missed: the page of which Streamlit has wrongly said that it isn't there; it takes that back only where the page is
    loaded again.
    """
    session = current_session()
    visit = session.visit
    # Streamlit says so in the first run alone, and a browser that is slow hears of a later one first.
    visit.missed = missed or visit.missed
    told = {"secret": visit.secret, "greeted": visit.greeted, "noticed": session.notice_seen, "missed": visit.missed}
    said = component("greeting")(key="greeting", data=told, on_browser_change=lambda: None).browser
    if visit.greeted:
        return session
    visit.connection = _connection()
    if said is None:
        _wait()
    visit.greeted = True
    if isinstance(said, dict):
        session.notice_seen = session.notice_seen or said.get("noticed") is True
        session = _as_before(session, said.get("secret"))
    st.rerun()


def take_unknown_page(names: tuple[str, ...]) -> str | None:
    """Lead an address that names no page to Home, and say so there; before the navigation is laid out.

    The page's name where Streamlit has just looked for it among the files, as a fresh server does until somebody has
    come, and said that there is none.
    """
    context = get_script_run_ctx()
    name = context.pages_manager.intended_page_name if context else None
    if not context or not name:
        return None
    if name == HOME or name not in names:  # Home's own address bears no name
        context.pages_manager.set_script_intent("", "")
        visit = current_session().visit
        visit.arrived = name != HOME
        visit.problem = f"There is no page “{name[:MOST_SHOWN]}” here: this is Home." if name != HOME else None
    return name if PagesManager.uses_pages_directory else None


def _wait() -> None:
    """Hold the page until the browser's word begins it anew; a browser that never answers is not waited for long."""
    place, end = st.empty(), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        place.empty()  # drawing is where Streamlit begins the page anew


def _connection() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _as_before(session: Session, secret: Any) -> Session:
    """The state of the visit that knew this secret, as far as it is still held; else the new one.

    Two tabs may know one secret, as a browser copies it with the tab: then each goes on with a state of its own.
    """
    before = VISITS.get(secret) if isinstance(secret, str) else None
    if before is None or before is session:
        return session
    again = replace(before, visit=session.visit, visitor=session.visitor, states={})
    again.visit.left = before.visit.page, before.visit.written
    again.notice_seen = session.notice_seen or before.notice_seen
    if not runtime.get_instance().is_active_session(before.visit.connection):
        again.states, before.states = before.states, {}
    take_session(again)
    return again
