"""Experts: open a mixture up and see who decides, how an attack moves the gate, and where the experts look."""

from __future__ import annotations

import streamlit as st

from pages.components import experts_attention, experts_looks, experts_map, experts_opinions, experts_path
from pages.components.engine import bundle, wait_until_ready
from pages.components.examining import target_examination
from pages.components.experts_attack import conclude
from pages.components.experts_bench import Bench, current_bench
from pages.components.experts_picker import draw_picker
from pages.components.start import draw_problem, draw_start
from pages.components.state import Visit, current_visit
from pages.components.tour_steps import EXPERTS
from pages.components.tours import draw_tour
from pages.components.words import plain

OPINIONS, PATH, LOOKS, MAP = "Opinions", "Drag ε", "Where they look", "Map of gates"
SECTIONS = (OPINIONS, PATH, LOOKS, MAP)


def opened(visit: Visit, mixture: str) -> Bench | None:
    """The bench with the scan on it; None, with the reason, where the bundle does not take such scans."""
    before = target_examination(visit)
    if before.undefended is None:
        st.error(f"{plain(before.refused or '')} Choose another scan in the sidebar.", icon=":material/error:")
        return None
    if before.refused:
        st.warning(f"{plain(before.refused)} The answers below are for study only.", icon=":material/warning:")
    bench = current_bench(visit, mixture)
    conclude(bench)
    return bench


def draw_section(visit: Visit, section: str, mixture: str) -> None:
    """The section that is looked at; the others cost nothing."""
    # In a place of its own: what it says while it waits must not move what stands below.
    with st.container():
        bench = opened(visit, mixture) if visit.scan else None
    if section == MAP:
        experts_map.draw_map(bundle(visit.bundle), mixture, bench)
    elif bench is None:
        return
    elif section == OPINIONS:
        experts_opinions.draw_opinions(visit, bench)
    elif section == PATH:
        experts_path.draw_path(bench)
    else:
        experts_looks.draw_looks(bench)
        experts_attention.draw_attention(bench)


visit = current_visit()
wait_until_ready()
draw_problem(visit)
draw_tour(visit, EXPERTS)
section = MAP
if visit.scan is None:
    draw_start("Show the experts")
else:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title("Open up the experts", anchor=False, width="content")
        how = {"label_visibility": "collapsed", "persist_state": "session"}
        chosen = st.segmented_control(
            "Section", SECTIONS, default=OPINIONS, required=True, key="experts-section", **how
        )
        section = chosen or OPINIONS
mixture = draw_picker(visit)
if mixture is not None:
    draw_section(visit, section, mixture)
