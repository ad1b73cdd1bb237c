"""Purify: watch an attack being washed out, compare the ways to do it, and see what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import stage, start
from pages.purify.change import draw_change
from pages.purify.controls import draw_controls
from pages.purify.curves import draw_curves
from pages.purify.figure import draw_figure
from pages.purify.seeds import draw_seeds
from pages.purify.state import PurifyState, begin, current_state, possible_settings
from pages.purify.tradeoff import draw_tradeoff
from pages.purify.trajectories import draw_trajectories
from pages.shared.empty_states import draw_missing_models, draw_problem, draw_start
from pages.shared.examinations import examination, target_examination
from pages.shared.job_status import draw_job_status, draw_stop
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.scan_settings import draw_slice
from pages.shared.session import Session, current_session
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Examination

WATCH, CHANGE, SEEDS, TRADE = "Watch", "What changed", "Seeds", "Trade-off"
SECTIONS = (WATCH, CHANGE, SEEDS, TRADE)
FIRST = "Press **Purify** under “Watch” first."
WAIT = "The purifiers under “Watch” are still at work, or have made nothing yet."


def draw_watch(session: Session, before: Examination) -> None:
    """Settings, button and stage.

    A fragment, as the first frame is to come at once; but not while purifiers run, as no button in a fragment
    interrupts what is being drawn, and Stop must.
    """
    state = current_state(session)
    draw = draw_work if state is not None and state.running else st.fragment(draw_work)
    draw(session, before)


def draw_work(session: Session, before: Examination) -> None:
    """Settings and button beside the stage; below it each method’s frames and the chart."""
    state, looked_at = current_state(session), session.frame
    running, large = state is not None and state.running, session.teaching
    grid = st.grid(1 if large else 3, min_column_width=270, gap="medium")
    with grid.cell():
        buttons = st.container(horizontal=True)
        if not large:
            if session.origin is None and session.scan:
                draw_slice(session, session.scan)
                if session.frame != looked_at:
                    st.rerun()
            draw_controls(session, bundle(session.bundle), running)
        with buttons:
            pressed = draw_buttons(state)
            start.draw_mode(session)
    with grid.cell(column_span=1 if large else 2):
        # Of the two places one is empty: what was drawn before must not stand there, greyed, while a purifier runs.
        rest, live = st.empty(), st.empty()
    below = st.empty()
    if pressed:
        state = begin(session, before, target_examination(session) if session.origin else None)
        stage.draw_first(state, live)
        st.rerun()
    if state and running:
        stage.follow_purifiers(state, live)
        live.empty()
    with rest.container():
        if state is None:
            start.draw_idle(session, before)
        else:
            draw_job_status(state)
            if state.begun.count:
                stage.draw_stage(state)
    if running:
        st.rerun()  # only now, so that the result is seen before the buttons and settings are drawn anew
    if state and state.begun.count and not large:
        with below.container():
            draw_trajectories(state)
            draw_curves(state)


def draw_buttons(state: PurifyState | None) -> bool:
    """Purify, and Stop while something runs; whether Purify was pressed."""
    running = state is not None and state.running
    label = "Purify again" if state else "Purify"
    # No callback: it would come before a setting that was changed in the same moment is noted.
    pressed = st.button(
        label,
        key="purify",
        shortcut=None if running else "Alt+P",  # it takes the room that Stop needs
        disabled=running,
        icon=":material/healing:",
        type="primary",
    )
    if state and running:
        draw_stop(state)
    return pressed


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
    else:
        draw_change(state)


def draw_recorded(session: Session) -> None:
    """What was measured on the validation scans; it needs no scan of the visitor's."""
    if bundle(session.bundle).lacks:
        draw_missing_models(bundle(session.bundle))
        return
    draw_tradeoff(bundle(session.bundle), session.classifier)
    draw_figure(bundle(session.bundle))


session = current_session()
wait_until_ready()
draw_problem(session)
if session.scan is None:
    draw_start("Purify")
    st.header("What purification buys, and what it costs", anchor=False)
    draw_recorded(session)
    st.stop()

models = bundle(session.bundle)
session.purify = possible_settings(session.purify, models)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Purify a scan", anchor=False, width="content")
    section = st.segmented_control(
        "Section", SECTIONS, default=WATCH, required=True, key="purify-section", label_visibility="collapsed",
        persist_state="session",
    )  # fmt: skip
if section == TRADE:
    draw_recorded(session)
    st.stop()
before = examination(session)
if before.undefended is None:
    st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
    st.stop()
if before.refused:
    st.warning(f"{plain(before.refused)} The answers below are for study only.", icon=":material/warning:")
start.draw_input(session)
if models.lacks:
    draw_missing_models(models)
    st.caption("What is left are filters that need no network.")
draw_section(session, section or WATCH, before)
