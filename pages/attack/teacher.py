"""The teacher's mode: one picture, one number, and keys to step with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.attack import live_view
from pages.attack.state import AttackRun
from pages.shared.large_number import draw_large_number
from pages.shared.words import heading

if TYPE_CHECKING:
    from core import Examination, Scan
    from pages.shared.session import Session


def _switch_picture(session: Session) -> None:
    session.difference = not session.difference


def draw_stage(attack_run: AttackRun, difference: bool = False) -> None:
    """The picture, or the difference, beside its number and, at the end, the verdict."""
    snapshot = attack_run.snapshot
    grid = st.grid(2, min_column_width=300, gap="medium")
    with grid.cell():
        (live_view.draw_difference if difference else live_view.draw_snapshot)(attack_run, snapshot)
    with grid.cell():
        live_view.draw_number(attack_run, snapshot)
        if attack_run.outcome and snapshot.step == attack_run.trajectory.steps:
            _draw_large_verdict(attack_run.outcome.examination)
        else:
            st.title("Original" if snapshot.step == 0 else f"After step {snapshot.step:,}", anchor=False)


def draw_original(before: Examination, scan: Scan) -> None:
    """The stage before the attack."""
    grid = st.grid(2, min_column_width=300, gap="medium")
    answer = before.undefended
    assert answer
    with grid.cell():
        live_view.draw_original(before, scan)
    with grid.cell():
        live_view.draw_share(answer.label, answer.confidence)
        st.title("Original", anchor=False)


def draw_keys(session: Session, attack_run: AttackRun) -> None:
    """Buttons and their keys, to step along the attack."""
    far = len(attack_run.trajectory.snapshots)
    moves = (
        ("Start", ":material/first_page:", "Home", -far),
        ("Back", ":material/arrow_back:", "Left", -1),
        ("Next", ":material/arrow_forward:", "Right", 1),
        ("End", ":material/last_page:", "End", far),
    )
    for label, icon, key, by in moves:
        st.button(label, icon=icon, shortcut=key, on_click=attack_run.move, args=(by,), key=f"teacher-{label.lower()}")
    label = "Scan" if session.difference else "Difference"
    st.button(
        label,
        icon=":material/difference:",
        shortcut="Alt+D",
        on_click=_switch_picture,
        args=(session,),
        key="teacher-difference",
    )


def _draw_large_verdict(exam: Examination) -> None:
    flagged = bool(exam.detection and exam.detection.flagged)
    words = {
        "Undefended": heading(exam.undefended.label) if exam.undefended else "No answer",
        "Detector": "Flagged" if flagged else "Not flagged",
        "Defended": heading(exam.label) if exam.label else "No answer",
    }
    if exam.detection is None:
        words = {"Undefended": words["Undefended"]}
    longest = max(map(len, words.values()))
    with st.container(border=True, key="verdict", gap="xxsmall"):
        for title, word in words.items():
            st.markdown(title)
            draw_large_number(word, f"{title}: {word}", longest)
