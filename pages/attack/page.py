"""Attack: change a scan on purpose until the classifier is fooled, and see what the defence makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import streamlit as st

from pages.attack import classroom, live_view, verdict
from pages.attack.charts import draw_charts
from pages.attack.controls import begin_with, draw_controls, possible_settings
from pages.attack.state import AttackRun, Outcome, begin, current_attack_run, judge
from pages.attack.words import in_short
from pages.shared.empty_states import draw_problem, draw_start
from pages.shared.errors import end_page
from pages.shared.examinations import answer_of, models_in_force, target_examination
from pages.shared.job_status import draw_stop
from pages.shared.regions.share import answer_shares
from pages.shared.runtime import wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.settings.scan import draw_slice
from pages.shared.story import cards
from pages.shared.tours import draw_tour
from pages.shared.tours.places import ATTACK
from pages.shared.visit.address import go_to
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core import Examination, Scan


def draw_title(session: Session, attack_run: AttackRun | None) -> None:
    """What the page does; to a class, which attack it is."""
    shown = attack_run.settings if attack_run else session.attack
    title = in_short(shown) if session.visit.class_view and shown else "Attack a scan"
    st.title(title, anchor=False, width="content")


def places(running: bool, width: Literal["stretch", "content"] = "stretch") -> tuple[DeltaGenerator, DeltaGenerator]:
    """Where to draw at rest, and where while an attack runs.

    Two places, of which one is empty: in one, what was drawn before would stay on the page, greyed, until the script
    has ended, which takes as long as the attack.
    """
    return (st.empty(), st.empty()) if running else (st.container(width=width), st.empty())


def draw_button(session: Session, attack_run: AttackRun | None, before: Examination) -> None:
    """Attack or Stop, whichever makes sense now."""
    running = attack_run is not None and attack_run.running
    rest, live = places(running, "content")
    if attack_run is not None and running:
        with live:
            draw_stop(attack_run)
        return
    label = "Attack again" if attack_run else "Attack"
    # No callback: it would come before a setting that was changed in the same moment is noted.
    if rest.button(label, key="attack", shortcut="Alt+A", icon=":material/bolt:", type="primary"):
        begin(session, before)
        st.rerun()


def draw_now(attack_run: AttackRun) -> None:
    """The picture and the numbers of the step that is looked at."""
    snapshot = attack_run.snapshot
    halves = st.grid(2, min_column_width=220)
    with halves.cell():
        live_view.draw_snapshot(attack_run, snapshot)
    with halves.cell():
        live_view.draw_number(attack_run, snapshot)
        live_view.draw_size(attack_run, snapshot)


def draw_to_class(session: Session, attack_run: AttackRun | None, before: Examination, target: Scan) -> None:
    """One picture, one number, the keys, and at the end the verdict."""
    running = attack_run is not None and attack_run.running
    with st.container(horizontal=True, vertical_alignment="center", key="attack-settings"):
        draw_title(session, attack_run)
        draw_button(session, attack_run, before)
        keys = st.empty() if running else st.container(horizontal=True, horizontal_alignment="right")
    rest, live = places(running)
    if attack_run is None:
        with rest:
            classroom.draw_original(before, target)
    elif running:
        with live.container():
            live_view.follow_attack(attack_run, classroom.draw_stage)
    else:
        with keys:
            classroom.draw_keys(attack_run)
        with rest:
            classroom.draw_result(session, attack_run)
            live_view.draw_end(attack_run)


def draw_all(session: Session, attack_run: AttackRun | None, before: Examination, target: Scan) -> None:
    """Everything: settings, the attack as it goes, the verdict, the change."""
    running = attack_run is not None and attack_run.running
    grid = st.grid(3, min_column_width=270, gap="medium")
    with grid.cell(), st.container(key="attack-settings"):
        if session.origin is None:
            draw_slice(session, target)
        draw_controls(session, models_in_force(session), answer_of(before).label, running)
        draw_button(session, attack_run, before)
    with grid.cell(column_span=2):
        (rest, live), curves = places(running), st.empty()
    below, _ = places(running)
    if attack_run is None:
        with rest:
            live_view.draw_idle(before, target)
    elif running:
        with live.container():
            live_view.follow_attack(attack_run, draw_now, curves)
    else:
        with rest:
            live_view.draw_end(attack_run)
            live_view.draw_steps(attack_run)
            draw_now(attack_run)
            draw_charts(attack_run, attack_run.snapshot)
        with below:
            draw_outcome(session, attack_run, attack_run.outcome)


def draw_outcome(session: Session, attack_run: AttackRun, outcome: Outcome | None) -> None:
    """The verdict, the ways on, and the change."""
    if outcome is None:
        return
    st.header("The verdict", anchor=False)
    with st.container(key="verdict"):
        asked = cards.draw_story(session, attack_run.before, outcome.examination)
    if verdict.draw_exits(attack_run, outcome):
        session.take_attacked(outcome.scan, attack_run.before, attack_run.settings, attack_run.seed)
        go_to("examine")
    st.header("What was changed", anchor=False)
    verdict.draw_change(session, attack_run, outcome)
    answer_shares(session, asked)


session = current_session()
wait_until_ready()
draw_problem(session)
if session.scan is None:
    draw_start("Attack")
    end_page()

draw_tour(session, ATTACK)
# In a place of its own: what it says while it waits must not move what stands below, of which some would stay, greyed.
with st.container():
    before, target = target_examination(session), session.origin or session.scan
attack_run = current_attack_run(session)
running = attack_run is not None and attack_run.running
if not session.visit.class_view:
    draw_title(session, attack_run)
if before.undefended is None:
    st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
    end_page()
models, label = models_in_force(session), answer_of(before).label
if session.visit.asked.pop("attack", None) and session.attack:
    begin_with(session, session.attack, models, label)
session.attack = possible_settings(session, models, label)
if session.origin is not None:
    st.caption(f"The open scan is an attacked copy; the attack begins again from {plain(target.name)}.")
if attack_run and not running:
    judge(session, attack_run)
live_view.look_as_asked(session, attack_run, before)
(draw_to_class if session.visit.class_view else draw_all)(session, attack_run, before, target)
if attack_run and not running and attack_run.outcome:
    session.visit.step = str(attack_run.snapshot.step)
if running:
    # The attack has ended while it was being drawn: the buttons change, and the verdict comes.
    st.rerun()
