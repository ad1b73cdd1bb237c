"""How the probability, the loss and the MAE's view move along each method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import charts
from pages.purify.controls import in_short
from pages.purify.state import PurifyState
from pages.shared.charts import CONFIG
from pages.shared.jobs import Job, sentence, watch
from pages.shared.runtime import bundle, engine
from pages.shared.words import number, plain

if TYPE_CHECKING:
    from core.trajectories.purification import Frame, Look, PurificationTrajectory

PROBABILITY, LIKENESS, LOSS = "Probability", "SSIM", "Own loss"
RECONSTRUCTION, VARIATION = "Reconstruction loss", "Attention variation"
LOOKS = {RECONSTRUCTION: "reconstruction_loss", VARIATION: "decoder"}
Value = Callable[["Frame"], float | None]


@st.fragment
def draw_course(state: PurifyState) -> None:
    """Ask which value, and draw it along each method."""
    looked = bundle(state.before.bundle).mae is not None
    options = [PROBABILITY, LIKENESS, *([RECONSTRUCTION] if looked else [])]
    options += [VARIATION] if looked and state.reference else []
    options += [LOSS] if any(frame.loss is not None for strip in state.strips for frame in strip.frames) else []
    chosen = st.segmented_control(
        "Value along the way", options, default=PROBABILITY, required=True, key="purify-value", persist_state="session"
    )
    if chosen in LOOKS:
        _look(state)
    label = _label(state)
    to = "clean scan" if state.reference else "input"
    axes: dict[str, tuple[str, Value, tuple[float, float] | None]] = {
        PROBABILITY: (
            f"probability of “{label}” (%)",
            lambda frame: 100 * frame.prediction.probabilities[label],
            (0, 100),
        ),
        LIKENESS: (f"SSIM to the {to}", lambda frame: (frame.to_reference or frame.to_input).ssim, None),
        LOSS: ("what the method descends", lambda frame: frame.loss, None),
    }
    if chosen in LOOKS:
        _draw_looks(state, chosen)
    else:
        axis, value, span = axes[chosen or PROBABILITY]
        _draw([_line(strip, value) for strip in state.strips], axis, span)


def _label(state: PurifyState) -> str:
    """The answer that one watches for: the clean scan's where it is known, else the last one's."""
    strip = state.strips[0]
    return strip.wanted or strip.frames[-1].prediction.label


def _line(strip: PurificationTrajectory, value: Value) -> charts.Line:
    known = [(100 * frame.step / strip.total, value(frame)) for frame in strip.frames if value(frame) is not None]
    return charts.Line(in_short(strip.settings), *map(list, zip(*known))) if known else charts.Line("", [], [])


def _draw_looks(state: PurifyState, chosen: str) -> None:
    lines = []
    for strip in state.strips:
        mae_views: dict[int, Look] = dict(sorted(dict(strip.mae_views).items()))
        values = [getattr(look, LOOKS[chosen]) for look in mae_views.values()]
        lines.append(charts.Line(in_short(strip.settings), [100 * step / strip.total for step in mae_views], values))
    if chosen == RECONSTRUCTION:
        about = "How badly the MAE predicts hidden patches of the estimate; what MAE-Pure descends."
    else:
        about = "How far the attention of the MAE’s decoder is from that on the clean scan; 0 would be no difference."
    _draw(lines, chosen.lower(), None)
    st.caption(f"{about} Asked about at most twelve frames a method.")


def _draw(lines: list[charts.Line], axis: str, span: tuple[float, float] | None) -> None:
    lines = [line for line in lines if line.values]
    if not lines:
        return
    ends = "; ".join(f"{line.title}: {number(line.values[0])} to {number(line.values[-1])}" for line in lines)
    st.plotly_chart(
        charts.along(lines, axis, span), height=charts.HEIGHT, config=CONFIG, alt=f"{axis}. {ends}",
        key="purify-course",
    )  # fmt: skip


def _look(state: PurifyState) -> None:
    """Have the MAE look, in the background, once."""
    from core.trajectories.purification import mae_view_steps

    if state.looking is None:
        steps = mae_view_steps(state.strips, bundle(state.before.bundle))
        state.looking = Job(engine().worker, steps, lambda _: None)
        state.looking.start()
    place = st.empty()
    watch(state.looking, lambda: place.caption(f"The MAE has looked at {state.looking.count} frames …"))
    place.empty()
    if state.looking.error:
        st.error(plain(sentence(state.looking.error)), icon=":material/error:")
