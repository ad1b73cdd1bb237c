"""Experts: open a mixture up and see who decides, how an attack moves the gate, and where the experts look."""

from __future__ import annotations

import streamlit as st

from pages.experts import attention, attributions, gate_map, gate_path, opinions
from pages.experts.attack import conclude
from pages.experts.picker import draw_picker
from pages.experts.state import ExpertsState, current_state
from pages.shared.empty_states import draw_problem, draw_start
from pages.shared.examinations import target_examination
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.tours import draw_tour
from pages.shared.tours.places import EXPERTS
from pages.shared.visit.sections import pick_section
from pages.shared.visit.stage import lay_stage
from pages.shared.words import plain

OPINIONS, PATH, LOOKS, MAP = "Opinions", "Drag ε", "Where they look", "Map of gates"
SECTIONS = (OPINIONS, PATH, LOOKS, MAP)


def opened(session: Session, mixture: str) -> ExpertsState | None:
    """What is known of the scan; None, with the reason, where the bundle does not take such scans."""
    before = target_examination(session)
    if before.undefended is None:
        st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
        return None
    if before.refused:
        st.warning(f"{plain(before.refused)} The answers below are for study only.", icon=":material/warning:")
    state = current_state(session, mixture)
    conclude(state)
    return state


def draw_section(session: Session, section: str, mixture: str) -> None:
    """The section that is looked at; the others cost nothing."""
    # In a place of its own: what it says while it waits must not move what stands below.
    with st.container():
        state = opened(session, mixture) if session.scan else None
    lay_stage(session, running=state is not None and state.running)
    if section == MAP:
        gate_map.draw_map(bundle(session.bundle), mixture, state)
    elif state is None:
        return
    elif section == OPINIONS:
        opinions.draw_opinions(session, state)
    elif section == PATH:
        gate_path.draw_path(state)
    else:
        attributions.draw_looks(state)
        attention.draw_attention(state)


session = current_session()
wait_until_ready()
draw_problem(session)
draw_tour(session, EXPERTS)
section = MAP
if session.scan is None:
    draw_start("Show the experts")
else:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title("Open up the experts", anchor=False, width="content")
        section = pick_section("experts", SECTIONS)
mixture = draw_picker(session)
if mixture is not None:
    draw_section(session, section, mixture)
