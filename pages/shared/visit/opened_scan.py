"""The scan that an address asks for, once it is open: which slice, in which window, and whether it is attacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import attack, take_copy
from pages.shared.visit.asked import OTHERWISE, refuse
from pages.shared.visit.attacks import WrongWord, whole_number
from pages.shared.visit.windows import asked_window

if TYPE_CHECKING:
    from core import Scan
    from pages.shared.session import Session

QUICK_STEPS = 200
MADE_OTHERWISE = (
    "The attacked copy of this address was made to deceive another classifier than it names, so it can’t be made again "
    "from it: the scan is as it was."
)


def place_as_asked(session: Session) -> None:
    """Show the open scan as the address asks for: which slice, in which window, and attacked."""
    asked, scan = session.visit.asked, session.scan
    if scan is None:
        return
    if (word := asked.pop("slice", None)) is not None:
        _turn_to(session, word or str(scan.default_frame + 1))
    if (word := asked.pop("window", None)) is not None and session.origin is None:
        _show_in(session, scan, word)
    word = asked.pop("attacked", None)
    if word and session.origin is None:
        if word == OTHERWISE:
            session.visit.problem = MADE_OTHERWISE
        else:
            _attack(session)


def _turn_to(session: Session, word: str) -> None:
    scan, frame, _ = session.target()
    assert scan is not None
    try:
        frame = whole_number({"slice": word}, "slice", 1, scan.frame_count) - 1
    except WrongWord as error:
        refuse(session, {"slice": word}, {"slice": error.holds})
        return
    if session.origin is None:
        session.frame = frame
        if scan.frame_count > 1:
            st.session_state[f"slice-{scan.key}"] = frame + 1


def _show_in(session: Session, scan: Scan, word: str) -> None:
    try:
        window = asked_window(word, scan)
    except ValueError:
        refuse(session, {"window": word})
        return
    if window != session.window:
        session.window = window
        session.window_settings += 1


def _attack(session: Session) -> None:
    """Make the attacked copy that the address asks for; one that takes long is left to the Attack page."""
    from core.attacks import longest_run, sees_defence

    settings = session.attack
    if settings and take_copy(session, settings, session.attack_seed):
        return
    if settings and (sees_defence(settings) or longest_run(settings) > QUICK_STEPS):
        session.visit.problem = "The attack of this address takes long: begin it on Attack. The scan is as it was."
        return
    try:
        attack(session, settings, session.attack_seed)
    except ValueError as error:
        session.visit.problem = str(error)
        return
    st.rerun()
