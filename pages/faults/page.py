"""Faults: flip a bit in a network's memory, watch the answer change, and see who notices."""

from __future__ import annotations

import streamlit as st

from pages.faults import classroom, curves, damage, layers, others, verdict, worst_case
from pages.faults.address import chosen_network, network_key, note_damage, take_asked
from pages.faults.answer import Answer, current_answer, page_guard
from pages.faults.bits import draw_bits, draw_form
from pages.faults.guard import draw_scrubber, draw_switch, draw_watch
from pages.faults.recorded import compare, draw_damaged
from pages.faults.state import FLIP, FaultsState, current_state
from pages.faults.words import network_title
from pages.shared.empty_states import draw_problem
from pages.shared.runtime import bundle, engine, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.visit.sections import pick_section
from pages.shared.visit.stage import lay_stage, on_stage, say

CURVES, WORST, COMPARE = "Curves", "Worst case", "Side by side"
SECTIONS = (FLIP, CURVES, WORST, COMPARE)
NO_SCAN = "No scan is chosen yet. **→** leads to what is recorded."
PRIVATE = (
    "The damage is yours alone: it lies on a copy, and other visitors and the other pages use the sound network. It "
    "stays when you choose another scan, as broken memory would, and goes with another network, format or bundle."
)


def draw_network(state: FaultsState) -> None:
    """Ask which network is damaged."""
    from core.faults.view import networks

    how = {"format_func": network_title, "required": True, "key": network_key(state.models)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control("Network", networks(state.models), default=state.network, **how)
        draw_form(state)


def draw_flip(session: Session, state: FaultsState) -> None:
    """Layers, one number's bits, and the answer beside them; below, both answers in full."""
    grid = st.grid(3, min_column_width=270, gap="medium")
    work = grid.cell(column_span=2)
    with grid.cell():
        place = st.container()
        damage.draw_undo(state)
        draw_switch(state)
        watch_place = st.container()
    with work:
        progress = layers.draw_layers(session, state)
        draw_bits(state)
        random_place = st.container()
    if session.scan is None:
        say(NO_SCAN)
        place.info("Choose a sample or upload a scan in the sidebar, to ask about it.", icon=":material/info:")
    else:
        with place:
            answer = current_answer(session, state)
            told = others.told_of(state)
            if on_stage():
                classroom.draw_flip(state, answer, told)
            verdict.draw_now(answer)
            st.markdown(told)
        with random_place:
            damage.draw_random(state, answer.before.pixels)
        with watch_place:
            guard = page_guard(state) if state.guard != "off" else None
            draw_watch(state, answer.watch, guard)
        draw_below(session, state, answer)
    st.caption(PRIVATE)
    draw_scrubber(engine().scrubber.bundles.get(session.bundle))
    # Last, as it holds the page until it has ended.
    layers.follow_measure(state, progress)


def draw_below(session: Session, state: FaultsState, answer: Answer) -> None:
    """What is flipped, and both answers in full."""
    others.draw_others(state)
    damage.draw_list(state)
    verdict.draw_sides(answer, session.scan, state.models)
    with st.container(key="faults-digest"):
        same = "as when you began" if answer.digest == state.digest else "**another than when you began**"
        st.caption(f"SHA-256 of the network that everybody shares, taken after this answer: `{answer.digest}`, {same}.")


session = current_session()
wait_until_ready()
draw_problem(session)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Flip a bit", anchor=False, width="content")
    section = pick_section("faults", SECTIONS)
draw_damaged(bundle(session.bundle))
state = current_state(session, chosen_network(session, bundle(session.bundle)))
take_asked(session, state)
lay_stage(session, state.running and section != COMPARE)
if section == COMPARE:
    compare.draw_compare(bundle(session.bundle))
else:
    draw_network(state)
    if section == CURVES:
        curves.draw_curves(session, state)
    elif section == WORST:
        worst_case.draw_worst(session, state)
    else:
        draw_flip(session, state)
note_damage(session, state)
