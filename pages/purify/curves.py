"""How the probability, the loss and the MAE's view of the frames move along each method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import charts
from pages.purify.controls import in_short
from pages.purify.state import PurifyState
from pages.shared.charts import CONFIG
from pages.shared.job_status import Progress, draw_job_status, follow
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle
from pages.shared.words import number

if TYPE_CHECKING:
    from core.trajectories.purification import Frame, PurificationTrajectory

PROBABILITY, LIKENESS, LOSS = "Probability", "SSIM", "Own loss"
RECONSTRUCTION, VARIATION = "Reconstruction loss", "Attention variation"
# As it takes far longer than the classifier.
MOST_VIEWS = 12
MAE_VIEWS = {RECONSTRUCTION: "reconstruction_loss", VARIATION: "decoder"}
Value = Callable[["Frame"], float | None]


@st.fragment
def draw_curves(state: PurifyState) -> None:
    """Ask which value, and draw it along each method."""
    has_mae = bundle(state.before.bundle).mae is not None
    options = [PROBABILITY, LIKENESS, *([RECONSTRUCTION] if has_mae else [])]
    options += [VARIATION] if has_mae and state.reference else []
    frames = (frame for trajectory in state.trajectories for frame in trajectory.frames)
    options += [LOSS] if any(frame.loss is not None for frame in frames) else []
    chosen = st.segmented_control(
        "Value along the way", options, default=PROBABILITY, required=True, key="purify-value", persist_state="session"
    )
    if chosen in MAE_VIEWS:
        _ask_mae(state)
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
    if chosen in MAE_VIEWS:
        _draw_mae_views(state, chosen)
    else:
        axis, value, span = axes[chosen or PROBABILITY]
        _draw([_line(trajectory, value) for trajectory in state.trajectories], axis, span)


def _label(state: PurifyState) -> str:
    """The answer that one watches for: the clean scan's where it is known, else the last one's."""
    trajectory = state.trajectories[0]
    return trajectory.wanted or trajectory.frames[-1].prediction.label


def _line(trajectory: PurificationTrajectory, value: Value) -> charts.Line:
    found = [(100 * frame.step / trajectory.total, value(frame)) for frame in trajectory.frames]
    known = [(done, value) for done, value in found if value is not None]
    return charts.Line(in_short(trajectory.settings), [done for done, _ in known], [value for _, value in known])


def _draw_mae_views(state: PurifyState, chosen: str) -> None:
    lines = []
    for trajectory in state.trajectories:
        views = sorted(trajectory.mae_views.items())
        done = [100 * step / trajectory.total for step, _ in views]
        values = [getattr(view, MAE_VIEWS[chosen]) for _, view in views]
        lines.append(charts.Line(in_short(trajectory.settings), done, values))
    if chosen == RECONSTRUCTION:
        about = "How badly the MAE predicts hidden patches of the estimate; what MAE-Pure descends."
    else:
        about = "How far the attention of the MAE’s decoder is from that on the clean scan; 0 would be no difference."
    _draw(lines, chosen.lower(), None)
    st.caption(f"{about} Asked about at most {MOST_VIEWS} frames a method.")


def _draw(lines: list[charts.Line], axis: str, span: tuple[float, float] | None) -> None:
    lines = [line for line in lines if line.values]
    if not lines:
        return
    ends = "; ".join(f"{line.title}: {number(line.values[0])} to {number(line.values[-1])}" for line in lines)
    st.plotly_chart(
        charts.along(lines, axis, span), height=charts.HEIGHT, config=CONFIG, alt=f"{axis}. {ends}",
        key="purify-curves",
    )  # fmt: skip


def _ask_mae(state: PurifyState) -> None:
    """Ask the MAE about the frames, in the background, once; where nobody waited for its answers, about the rest."""
    from core.trajectories.purification import mae_view_steps

    asked = state.mae_views
    if asked is None or asked.abandoned:
        asked = state.mae_views = PageState(choices=state.choices)
        asked.start(mae_view_steps(state.trajectories, bundle(state.before.bundle), MOST_VIEWS))
    if asked.running:
        follow(asked, lambda: _progress(state))
        st.rerun()
    draw_job_status(asked)


def _progress(state: PurifyState) -> Progress:
    done = sum(len(trajectory.mae_views) for trajectory in state.trajectories)
    total = sum(len(trajectory.sampled(MOST_VIEWS)) for trajectory in state.trajectories)
    return Progress(done, total, f"The MAE has seen {done} of {total} frames")
