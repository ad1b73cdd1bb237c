"""Faults: flip a bit in a network's memory, watch the answer change, and see who notices."""

from __future__ import annotations

import streamlit as st

from pages.components import (
    faults_bits,
    faults_compare,
    faults_curves,
    faults_damage,
    faults_guard,
    faults_layers,
    faults_verdict,
    faults_worst,
)
from pages.components.engine import bundle, engine, wait_until_ready
from pages.components.faults_answer import Answer, current_answer, page_guard
from pages.components.faults_bench import FaultBench, current_bench
from pages.components.faults_record import draw_damaged
from pages.components.faults_words import network_title
from pages.components.start import draw_problem
from pages.components.state import Visit, current_visit

FLIP, CURVES, WORST, COMPARE = "Flip", "Curves", "Worst case", "Side by side"
SECTIONS = (FLIP, CURVES, WORST, COMPARE)
PRIVATE = (
    "The damage is yours alone: it lies on a copy, and other visitors and the other pages use the sound network. It "
    "stays when you choose another scan, as broken memory would, and goes with another network, format or bundle."
)


def draw_network(visit: Visit) -> FaultBench:
    """Ask which network is damaged."""
    from core.faults.view import networks

    models = bundle(visit.bundle)
    names = networks(models)
    now = visit.faulty if visit.faulty in names else models.default_classifier
    how = {"format_func": network_title, "required": True, "key": f"faults-network-{models.name}"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        visit.faulty = st.segmented_control("Network", names, default=now, **how) or now
        bench = current_bench(visit, visit.faulty)
        faults_bits.draw_form(bench)
    return bench


def draw_flip(visit: Visit, bench: FaultBench) -> None:
    """Layers, one number's bits, and the answer beside them; below, both answers in full."""
    grid = st.grid(3, min_column_width=270, gap="medium")
    work = grid.cell(column_span=2)
    with grid.cell():
        place = st.container()
        faults_damage.draw_undo(bench)
        faults_guard.draw_switch(bench)
        watch_place = st.container()
    with work:
        progress = faults_layers.draw_layers(visit, bench)
        faults_bits.draw_bits(bench)
        random_place = st.container()
    if visit.scan is None:
        place.info("Choose a sample or upload a scan in the sidebar, to ask about it.", icon=":material/info:")
    else:
        with place:
            answer = current_answer(visit, bench)
            faults_verdict.draw_now(answer)
        with random_place:
            faults_damage.draw_random(bench, answer.before.pixels)
        with watch_place:
            guard = page_guard(bench) if bench.guard != "off" else None
            faults_guard.draw_watch(bench, answer.watch, guard)
        draw_below(visit, bench, answer)
    st.caption(PRIVATE)
    faults_guard.draw_sentry(engine().patrol.sentries.get(visit.bundle))
    # Last, as it holds the page until it has ended.
    faults_layers.follow_measure(bench, progress)


def draw_below(visit: Visit, bench: FaultBench, answer: Answer) -> None:
    """What is flipped, and both answers in full."""
    faults_damage.draw_list(bench)
    faults_verdict.draw_sides(answer, visit.scan, bench.models)
    with st.container(key="faults-digest"):
        same = "as when you began" if answer.digest == bench.digest else "**another than when you began**"
        st.caption(f"SHA-256 of the network that everybody shares, taken after this answer: `{answer.digest}`, {same}.")


visit = current_visit()
wait_until_ready()
draw_problem(visit)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Flip a bit", anchor=False, width="content")
    how = {"label_visibility": "collapsed", "persist_state": "session"}
    section = st.segmented_control("Section", SECTIONS, default=FLIP, required=True, key="faults-section", **how)
draw_damaged(bundle(visit.bundle))
if section == COMPARE:
    faults_compare.draw_compare(bundle(visit.bundle))
else:
    bench = draw_network(visit)
    if section == CURVES:
        faults_curves.draw_curves(visit, bench)
    elif section == WORST:
        faults_worst.draw_worst(visit, bench)
    else:
        draw_flip(visit, bench)
