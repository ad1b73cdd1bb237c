"""Purifiers at work: settings, button and stage; below it what came of each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import stage, start
from pages.purify.controls import draw_controls
from pages.purify.curves import draw_curves
from pages.purify.state import PurifyState, begin, current_state
from pages.purify.timeline import TIMELINE
from pages.purify.trajectories import draw_trajectories
from pages.shared.examinations import target_examination
from pages.shared.job_status import draw_job_status, draw_stop
from pages.shared.runtime import bundle
from pages.shared.settings.scan import draw_slice
from pages.shared.visit.steps import asks_for_step, place_asked

if TYPE_CHECKING:
    from core import Examination
    from pages.shared.session import Session


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
    running, large = state is not None and state.running, session.visit.class_view
    grid = st.grid(1 if large else 3, min_column_width=270, gap="xsmall" if large else "medium")
    with grid.cell():
        buttons = st.container(horizontal=True, key="purify-buttons")
        if not large:
            if session.origin is None and session.scan:
                draw_slice(session, session.scan)
                if session.frame != looked_at:
                    st.rerun()
            draw_controls(session, bundle(session.bundle), running)
        with buttons:
            pressed = draw_buttons(state)
    methods = session.purify if pressed or state is None else state.settings
    with grid.cell(column_span=1 if large else 2), st.container(key=f"stage-{len(methods)}"):
        # Of the two places one is empty: what was drawn before must not stand there, greyed, while a purifier runs.
        rest, live = st.empty(), st.empty()
    below = st.empty()
    if pressed or (asks_for_step(session) and is_other(session, state)):
        state = begin(session, before, reference_of(session))
        stage.draw_first(state, live)
        st.rerun()
    if state and running:
        stage.follow_purifiers(state, live)
        live.empty()
    with rest.container():
        if state is None:
            start.draw_idle(session, before, reference_of(session))
        else:
            draw_job_status(state)
            if state.begun.count:
                look_as_asked(session, state)
                stage.draw_stage(session, state)
    if running:
        st.rerun()  # only now, so that the result is seen before the buttons and settings are drawn anew
    if state and state.begun.count and not large:
        with below.container():
            if state.reference:
                draw_way_to_timeline()
            draw_trajectories(state)
            draw_curves(state)


def look_as_asked(session: Session, state: PurifyState) -> None:
    """Look at the step that the address asks for, once the purifiers have ended."""
    if not state.running:
        place = place_asked(session, [frame.step for frame in state.longest.frames])
        state.position = state.position if place is None else place


def is_other(session: Session, state: PurifyState | None) -> bool:
    """Whether what was purified, if anything, was purified otherwise than is set up."""
    return state is None or (state.settings, state.seed) != (session.purify, session.purify_seed)


def reference_of(session: Session) -> Examination | None:
    """The result of the clean scan, where the open one is an attacked copy."""
    return target_examination(session) if session.origin else None


def draw_way_to_timeline() -> None:
    """A button to the section that shows all of it in one picture."""

    def go() -> None:
        st.session_state["purify-section"] = TIMELINE

    if st.button("See all of it as one timeline", icon=":material/timeline:", key="to-timeline", on_click=go):
        st.rerun()


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
