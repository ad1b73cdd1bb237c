"""Purify: watch an attack being washed out, compare the ways to do it, and see what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components import (
    ending,
    purify_change,
    purify_controls,
    purify_course,
    purify_figure,
    purify_seeds,
    purify_stage,
    purify_strip,
    purify_table,
    purify_trade,
    settings,
)
from pages.components.engine import bundle, wait_until_ready
from pages.components.examining import examination, target_examination
from pages.components.lacking import draw_lacking
from pages.components.purify_studio import Studio, begin, current_studio, possible_settings
from pages.components.start import draw_problem, draw_start
from pages.components.state import Visit, current_visit
from pages.components.words import plain

if TYPE_CHECKING:
    from core import Examination

WATCH, CHANGE, SEEDS, TRADE = "Watch", "What changed", "Seeds", "Trade-off"
SECTIONS = (WATCH, CHANGE, SEEDS, TRADE)
FIRST = "Press **Purify** under “Watch” first."
WAIT = "The purifiers under “Watch” are still at work, or have made nothing yet."


def draw_watch(visit: Visit, before: Examination) -> None:
    """Settings, button and stage.

    A fragment, as the first frame is to come at once; but not while purifiers run, as no button in a fragment
    interrupts what is being drawn, and Stop must.
    """
    studio = current_studio(visit)
    draw = draw_work if studio is not None and studio.running else st.fragment(draw_work)
    draw(visit, before)


def draw_work(visit: Visit, before: Examination) -> None:
    """Settings and button beside the stage; below it the strips and the chart."""
    studio, looked_at = current_studio(visit), visit.frame
    running, large = studio is not None and studio.running, visit.teaching
    grid = st.grid(1 if large else 3, min_column_width=270, gap="medium")
    with grid.cell():
        buttons = st.container(horizontal=True)
        if not large:
            if visit.origin is None and visit.scan:
                settings.draw_slice(visit, visit.scan)
                if visit.frame != looked_at:
                    st.rerun()
            purify_controls.draw_controls(visit, bundle(visit.bundle), running)
        with buttons:
            pressed = draw_buttons(studio)
            purify_table.draw_mode(visit)
    with grid.cell(column_span=1 if large else 2):
        # Of the two places one is empty: what was drawn before must not stand there, greyed, while a purifier runs.
        rest, live = st.empty(), st.empty()
    below = st.empty()
    if pressed:
        studio = begin(visit, before, target_examination(visit) if visit.origin else None)
        purify_stage.draw_first(studio, live)
        st.rerun()
    if running:
        purify_stage.follow(studio, live)
        live.empty()
    with rest.container():
        if studio is None:
            purify_table.draw_idle(visit, before)
        else:
            ending.draw_ending(studio.run)
            if studio.run.count:
                purify_stage.draw_stage(studio)
    if running:
        st.rerun()  # only now, so that the result is seen before the buttons and settings are drawn anew
    if studio and studio.run.count and not large:
        with below.container():
            purify_strip.draw_strips(studio)
            purify_course.draw_course(studio)


def draw_buttons(studio: Studio | None) -> bool:
    """Purify, and Stop while something runs; whether Purify was pressed."""
    running = studio is not None and studio.running
    label, how = "Purify again" if studio else "Purify", {"icon": ":material/healing:", "type": "primary"}
    # No callback: it would come before a setting that was changed in the same moment is noted.
    pressed = st.button(label, key="purify", shortcut="P", disabled=running, **how)
    if running:
        how = {"icon": ":material/stop:", "key": "stop", "shortcut": "Esc"}
        st.button("Stop", on_click=studio.run.stop, **how)
    return pressed


def draw_section(visit: Visit, section: str, before: Examination) -> None:
    """The section that is looked at; the others cost nothing."""
    if section == WATCH:
        draw_watch(visit, before)
        return
    studio = current_studio(visit)
    if section == SEEDS:
        purify_seeds.draw_seeds(visit, before)
    elif studio is None or studio.running or not studio.run.count:
        st.info(FIRST if studio is None else WAIT, icon=":material/info:")
    else:
        purify_change.draw_change(studio)


def draw_recorded(visit: Visit) -> None:
    """What was measured on the validation scans; it needs no scan of the visitor's."""
    if bundle(visit.bundle).lacks:
        draw_lacking(bundle(visit.bundle))
        return
    purify_trade.draw_trade(bundle(visit.bundle), visit.classifier)
    purify_figure.draw_figure(bundle(visit.bundle))


visit = current_visit()
wait_until_ready()
draw_problem(visit)
if visit.scan is None:
    draw_start("Purify")
    st.header("What purification buys, and what it costs", anchor=False)
    draw_recorded(visit)
    st.stop()

models = bundle(visit.bundle)
visit.purify = possible_settings(visit.purify, models)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Purify a scan", anchor=False, width="content")
    how = {"label_visibility": "collapsed", "persist_state": "session"}
    section = st.segmented_control("Section", SECTIONS, default=WATCH, required=True, key="purify-section", **how)
if section == TRADE:
    draw_recorded(visit)
    st.stop()
before = examination(visit)
if before.undefended is None:
    st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
    st.stop()
if before.refused:
    st.warning(f"{plain(before.refused)} The answers below are for study only.", icon=":material/warning:")
purify_table.draw_table(visit)
if models.lacks:
    draw_lacking(models)
    st.caption("What is left are filters that need no network.")
draw_section(visit, section or WATCH, before)
