"""Drag ε: the gate along one direction, computed once; then the slider only draws it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import streamlit as st

from pages.experts import charts, classroom
from pages.experts.findings import moved, points
from pages.experts.opinions import draw_badge, in_words
from pages.experts.progress import draw_ending, follow
from pages.experts.state import CLEAN, ExpertsState
from pages.shared.charts import CONFIG
from pages.shared.visit.stage import draw_chart, on_stage, say
from pages.shared.words import heading, percent, plain

if TYPE_CHECKING:
    from core.explanation.mixture import GatePathPoint

DOING = "path"
TITLES = {"fgsm": "FGSM: one step", "pgd": "PGD: 40 steps"}
HEIGHT = 460
FIRST = "How far does the scan have to move until the gate trusts others? **Space** begins."
BEGINS = "**↑** goes on, **↓** goes back."
ABOUT = "FGSM changes every pixel at once by as much as is allowed; PGD takes small steps, and looks anew after each."


def draw_path(state: ExpertsState) -> None:
    """Which direction, the button, and the gate along it."""
    st.markdown(
        "One attack at ε = 16/255 gives a **direction**. The slider goes along it, from the clean scan to that attack, "
        "and the gate shows whom it trusts at each place."
    )
    running = state.running and state.doing == DOING
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = {"required": True, "key": "path-method", "persist_state": "session", "disabled": running}
        how |= {"format_func": TITLES.get, "help": ABOUT}
        method = st.segmented_control("Direction", list(TITLES), default="fgsm", **how)
        label = "Find it again" if state.path else "Find the direction"
        if st.button(label, icon=":material/explore:", type="primary", key="path-start", disabled=running):
            begin_path(state, method or "fgsm")
            st.rerun()
    rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    if running:
        with live.container():
            follow(state, "Finding the direction, then asking the experts")
    with rest:
        draw_ending(state, DOING)
        if not state.path:
            classroom.draw_scan(state, FIRST)
        else:
            # A fragment couldn’t draw on the stage, which lies without it.
            (_draw_rung if on_stage() else st.fragment(_draw_rung))(state)


def begin_path(state: ExpertsState, method: str) -> None:
    """Have the path computed in the background."""
    from core.explanation.mixture import path_length

    state.path, state.path_method = [], method
    state.start(_steps(state, state.path, method), doing=DOING, total=path_length(method))


def _steps(state: ExpertsState, path: list[GatePathPoint], method: str) -> Iterator[None]:
    from core.explanation.mixture import gate_path

    for point in gate_path(state.stages[CLEAN].pixels, state.models, state.mixture, method, state.seed):
        if point is not None:
            path.append(point)
        yield


def _draw_rung(state: ExpertsState) -> None:
    from core.explanation import overlays
    from core.explanation.mixture import gate_change

    path = state.path
    steps = [point.eps for point in path]
    eps = steps[0]
    if len(steps) > 1:
        key = f"path-eps-{id(path)}"
        eps = st.select_slider("Drag ε, in 1/255", steps, key=key, format_func="{:g}".format)
        if on_stage():
            classroom.draw_keys(steps, key)
    output = path[steps.index(eps)].view.output
    everyone, end = (True,) * len(output.weights), charts.axis_end(point.view.output for point in path)
    grid = st.grid(3, min_column_width=270, gap="medium")
    with grid.cell(column_span=2):
        answer, first = output.answer, path[0].view.output
        st.header(f"{plain(heading(answer.label))} · {percent(answer.confidence)}", anchor=False)
        draw_badge(CLEAN if eps == 0 else DOING, answer.label, first.answer.label)
        told = moved(first, output, gate_change(first, output)) if eps else BEGINS
        said = f"{plain(heading(answer.label))}, {percent(answer.confidence)}"
        if not say(f"ε = {eps:g}/255: **{said}**. {told}") and eps:
            st.markdown(told)
        draw_chart(
            charts.bars(output, everyone, end), charts.bars_height(len(everyone)),
            key="path-bars", alt=f"Gate at ε = {eps:g}/255: {in_words(output, everyone)}",
        )  # fmt: skip
    with grid.cell():
        pixels, name = path[steps.index(eps)].view.pixels, f"{TITLES[state.path_method]}, ε = {eps:g}/255"
        picture = overlays.model_png(pixels, state.before.frame.shape, state.scan.spacing)
        st.image(picture, name, "stretch", output_format="PNG", alt=f"Scan {state.scan.name}. {name}")
    _draw_lines(path, eps)


def _draw_lines(path: list[GatePathPoint], eps: float) -> None:
    from core.explanation.mixture import gate_change

    st.subheader("How the gate changes over ε, in 1/255", anchor=False)
    first = path[0].view.output
    changes = [gate_change(first, point.view.output) for point in path]
    lines = [charts.Line(name, [change.points[place] for change in changes]) for place, name in enumerate(first.names)]
    ends = "; ".join(f"{line.title} {points(line.changes[-1])} points" for line in lines)
    st.plotly_chart(
        charts.gate_lines(lines, [point.eps for point in path], eps, charts.change_end(changes)), height=HEIGHT,
        config=CONFIG, key="path-lines", alt=f"Change of every expert’s weight at ε = {path[-1].eps:g}/255: {ends}",
    )  # fmt: skip
