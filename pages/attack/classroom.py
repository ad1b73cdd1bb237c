"""Attack in the view for a class: one picture, one number, and keys to step with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from pages.attack import live_view, verdict
from pages.attack.state import AttackRun, Outcome
from pages.shared.examinations import answer_of
from pages.shared.pictures import draw_large_number
from pages.shared.story import cards

if TYPE_CHECKING:
    from core import Examination, Scan
    from core.trajectories.attack import Snapshot
    from pages.shared.session import Session


def draw_stage(attack_run: AttackRun) -> None:
    """The picture while the attack runs, beside its number."""
    _draw(attack_run, live_view.draw_snapshot)


def draw_result(session: Session, attack_run: AttackRun) -> None:
    """The same at any step once it has ended, to compare with the original; at the end with the verdict."""
    _draw(attack_run, partial(verdict.draw_pictures, session))


def _draw(attack_run: AttackRun, draw_pictures: Callable[[AttackRun, Snapshot], None]) -> None:
    snapshot = attack_run.snapshot
    grid = st.grid(3, min_column_width=190, gap="medium")
    with grid.cell(column_span=2):
        draw_pictures(attack_run, snapshot)
    with grid.cell():
        live_view.draw_number(attack_run, snapshot)
        if attack_run.outcome and snapshot.step == attack_run.trajectory.steps:
            _draw_large_verdict(attack_run, attack_run.outcome)
        else:
            st.title("Original" if snapshot.step == 0 else f"After step {snapshot.step:,}", anchor=False)


def draw_original(before: Examination, scan: Scan) -> None:
    """The stage before the attack."""
    grid = st.grid(2, min_column_width=300, gap="medium")
    answer = answer_of(before)
    with grid.cell():
        live_view.draw_original(before, scan)
    with grid.cell():
        live_view.draw_share(answer.label, answer.confidence)
        st.title("Original", anchor=False)


def draw_keys(attack_run: AttackRun) -> None:
    """Buttons and their keys, to step along the attack."""
    far = len(attack_run.trajectory.snapshots)
    moves = (
        ("Start", ":material/first_page:", "Home", -far),
        ("Back", ":material/arrow_back:", "Left", -1),
        ("Next", ":material/arrow_forward:", "Right", 1),
        ("End", ":material/last_page:", "End", far),
    )
    for label, icon, key, by in moves:
        st.button(label, icon=icon, shortcut=key, on_click=attack_run.move, args=(by,), key=f"attack-{label.lower()}")


def _draw_large_verdict(attack_run: AttackRun, outcome: Outcome) -> None:
    words = cards.in_short(attack_run.before, outcome.examination)
    longest = max(map(len, words.values()))
    with st.container(border=True, key="verdict", gap="xxsmall"):
        for title, word in words.items():
            st.markdown(title)
            draw_large_number(word, f"{title}: {word}", longest)
