"""The stage: what each method has made of the scan at one moment, side by side and in step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.purify.frame_pictures import draw_pictures
from pages.purify.state import PurifyState
from pages.shared import pictures
from pages.shared.job_status import Progress, draw_progress, follow
from pages.shared.visit.address import write_address
from pages.shared.words import counted, heading, percent, plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.trajectories.purification import Frame, PurificationTrajectory
    from pages.shared.session import Session

FIRST_POLL_SECONDS = 0.02
PAINT_SECONDS = 0.06
PLAY_SECONDS = 0.7


def draw_first(state: PurifyState, place: DeltaGenerator) -> None:
    """Draw the first estimates as soon as they are there, or what is waited for, and let the browser show them.

    It drops what has only just come when the page is drawn anew.
    """
    job = state.begun
    while not job.wait(FIRST_POLL_SECONDS) and not job.count and not job.ahead:
        pass
    with place.container():
        draw_progress(job, _progress(state))
        _draw_estimates(state)
    time.sleep(PAINT_SECONDS)


def follow_purifiers(state: PurifyState, place: DeltaGenerator) -> None:
    """Draw the estimates after each step until all purifiers have ended."""
    with place.container():
        follow(state, lambda: _progress(state), lambda _: _draw_estimates(state))


def _progress(state: PurifyState) -> Progress:
    done = sum(trajectory.steps for trajectory in state.trajectories)
    total = sum(trajectory.total for trajectory in state.trajectories)
    return Progress(done, total, f"{done:,} of {counted(total)}" if total else "Beginning")


def _draw_estimates(state: PurifyState) -> None:
    if state.trajectories:
        _draw_rows(state, live=True)


def draw_stage(session: Session, state: PurifyState) -> None:
    """The frames at one position with a slider and keys; playing moves it on without the rest of the page."""
    run_every = PLAY_SECONDS if state.playing else None
    st.fragment(_draw_stage, run_every=run_every)(session, state, state.playing)


def _draw_stage(session: Session, state: PurifyState, playing: bool) -> None:
    if playing and state.playing:
        state.tick()
    if state.playing != playing:
        st.rerun()  # the pace of a fragment is set by the page around it
    _draw_keys(state)
    session.visit.step = str(state.longest.frames[state.place].step)
    write_address(session, "address-stage")
    if session.visit.class_view:
        _draw_rows(state)
        return
    _draw_slider(state)
    _draw_rows(state)
    pictures.draw_legend("darker than the step before (blue)", "brighter (red)", signed=True)


def _draw_keys(state: PurifyState) -> None:
    moves = (("Start", "Home", -state.last), ("Back", "Left", -1), ("Next", "Right", 1), ("End", "End", state.last))
    with st.container(horizontal=True, gap="xsmall"):
        label, icon = ("Pause", "pause") if state.playing else ("Play", "play_arrow")
        st.button(label, icon=f":material/{icon}:", on_click=state.play, key="purify-play", shortcut="Alt+K")
        for label, key, by in moves:
            st.button(label, on_click=state.move, args=(by,), key=f"purify-{label.lower()}", shortcut=key)


def _draw_slider(state: PurifyState) -> None:
    if state.last < 2:
        return
    key, steps = f"purify-step-{id(state)}", [frame.step for frame in state.longest.frames]

    def moved() -> None:
        # While it plays, a slow browser sends the position before the last one, as if somebody had moved it.
        if not state.playing:
            state.position = steps.index(st.session_state[key])

    # The state is the truth and the widget mirrors it: the keys move it as well.
    st.session_state[key] = steps[state.place]
    label = "Step" if len(state.trajectories) == 1 else "Step of the longest method; the others keep pace"
    st.select_slider(label, steps, key=key, on_change=moved, disabled=state.playing)


def _draw_rows(state: PurifyState, live: bool = False) -> None:
    """A row a method; live: while it runs."""
    for trajectory in state.trajectories:
        frame = trajectory.frames[-1] if live else state.frame(trajectory)
        with st.container(horizontal=True, vertical_alignment="center"):
            text = f"**{plain(in_short(trajectory.settings))}** · {moment(trajectory, frame)}"
            st.markdown(text, width="content")
            draw_answer(state, trajectory, frame)
        draw_pictures(state, trajectory, frame)


def moment(trajectory: PurificationTrajectory, frame: Frame) -> str:
    """Which step a frame is from, in words."""
    if frame.step == 0:
        return "The input"
    return f"Step {frame.step:,} of {trajectory.total:,}" + ("" if frame.t is None else f", t = {frame.t}")


def draw_answer(state: PurifyState, trajectory: PurificationTrajectory, frame: Frame) -> None:
    """Label and probability, and how it stands to the clean scan's answer, or to the input's."""
    answer, first = frame.prediction, trajectory.frames[0].prediction
    st.header(f"{plain(heading(answer.label))} · {percent(answer.confidence)}", anchor=False, width="content")
    turn = None if state.running else trajectory.turn()
    if turn is frame:
        text = "Comes back here" if trajectory.wanted == answer.label else "Turns here"
        st.badge(text, icon=":material/flag:", color="blue")
    elif trajectory.wanted is None:
        same = answer.label == first.label
        text = "As the input" if same else f"Input: {plain(first.label)}"
        st.badge(text, icon=":material/equal:" if same else ":material/swap_horiz:", color="gray" if same else "orange")
    elif answer.label == trajectory.wanted:
        st.badge("As the clean scan", icon=":material/check_circle:", color="green")
    else:
        st.badge(f"Clean scan: {plain(trajectory.wanted)}", icon=":material/swap_horiz:", color="orange")
