"""Experts in the view for a class: what was answered and whom the gate trusts, in one sentence and one chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.experts import charts
from pages.experts.findings import moved
from pages.experts.state import ATTACKED, CLEAN, ExpertsState
from pages.shared.visit.stage import draw_chart, on_stage, say, staged
from pages.shared.words import heading, percent, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from core.explanation.mixture import MixtureOutput

ROOM = 1.6  # times as long an axis, for the texts at the bars
FIRST = "**A** attacks the mixture: whose bar will grow, and who will change sides?"


def draw_opinions(titles: Mapping[str, str], answers: Mapping[str, MixtureOutput | None], on: tuple[bool, ...]) -> None:
    """The gate before the attack and after it side by side. `titles`: stage → its words; `on`: who is at work."""
    from core.explanation.mixture import gate_change

    known = {stage: output for stage, output in answers.items() if output}
    first = known.get(CLEAN)
    if first is None:
        return
    changes = {stage: gate_change(first, output) for stage, output in known.items() if stage != CLEAN}
    attacked = known.get(ATTACKED)
    told = moved(first, attacked, changes[ATTACKED]) if attacked else FIRST
    say(f"{'; '.join(f'{titles[stage]}: **{_said(output)}**' for stage, output in known.items())}. {told}")
    figures = {titles[CLEAN]: charts.bars(first, on, charts.axis_end([first]), short=True)}
    for stage, change in changes.items():
        figures[titles[stage]] = charts.change_bars(known[stage], on, change, charts.change_end(changes.values()))
    about = "; ".join(f"{titles[stage]}: {_said(output)}" for stage, output in known.items())
    draw_chart(beside(figures, known.values()), charts.bars_height(len(on)), key="bars-class", alt=f"The gate. {about}")


def beside(figures: Mapping[str, go.Figure], outputs: Iterable[MixtureOutput]) -> go.Figure:
    """Charts of bars as one, title → chart, from left to right; what each expert answers stands at its bar."""
    from plotly.subplots import make_subplots

    from pages.shared.charts import palette

    joined = make_subplots(cols=len(figures), shared_yaxes=True, subplot_titles=list(figures), horizontal_spacing=0.02)
    for column, (figure, output) in enumerate(zip(figures.values(), outputs), 1):
        bars, (low, high) = figure.data[0], figure.layout.xaxis.range
        bars.text = [f"{text} {said.label}" if text else "" for text, said in zip(bars.text, output.experts)]
        joined.add_trace(bars, row=1, col=column)
        joined.update_xaxes(figure.layout.xaxis.to_plotly_json(), col=column)
        joined.update_xaxes(range=[ROOM * low, ROOM * high], col=column)
    names, ink = [f"<b>{name}</b>" for name in output.names], palette()[1]
    joined.update_yaxes(tickvals=list(range(len(names))), range=[len(names) - 0.5, -0.5])
    joined.update_yaxes(ticktext=names, tickfont={"size": charts.FONT - 2, "color": ink}, col=1)
    joined.update_annotations(font={"size": charts.FONT, "color": ink})
    joined.update_layout(showlegend=False, bargap=0.35, margin={"l": 8, "r": 16, "t": 44, "b": 8})
    return joined


def _said(output: MixtureOutput) -> str:
    return f"{plain(heading(output.answer.label))}, {percent(output.answer.confidence)}"


def draw_scan(state: ExpertsState, sentence: str) -> None:
    """The scan, before anything is asked about it; to a class alone."""
    from core.explanation import overlays

    if on_stage():
        say(sentence)
        clean = overlays.model_png(state.stages[CLEAN].pixels, state.before.frame.shape, state.scan.spacing)
        with staged():
            st.image(clean, width="stretch", output_format="PNG", alt=f"Scan {state.scan.name}")


def draw_keys(steps: list[float], key: str) -> None:
    """Buttons, with keys of their own, for a little more and less of ε; `key`: of the slider."""

    def move(by: int) -> None:
        place = steps.index(st.session_state[key]) + by
        st.session_state[key] = steps[min(max(place, 0), len(steps) - 1)]

    with st.container(horizontal=True):
        st.button("Less", icon=":material/arrow_downward:", key="path-less", on_click=move, args=(-1,))
        st.button("More", icon=":material/arrow_upward:", key="path-more", on_click=move, args=(1,))
