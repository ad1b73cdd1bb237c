"""The scan on the Purify page before anything is done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.session import Session
from pages.shared.words import heading, percent, plain

if TYPE_CHECKING:
    from core import Examination


def draw_idle(session: Session, before: Examination) -> None:
    """The scan and its answer, before anything is done to it."""
    from core.explanation import overlays

    assert session.scan and before.undefended
    answer = before.undefended
    halves = st.grid(2, min_column_width=220, gap="medium")
    picture = overlays.model_png(before.pixels, before.frame.shape, session.scan.spacing)
    halves.image(picture, "Input", "stretch", alt=f"Scan {session.scan.name}. Input")
    with halves.cell():
        st.markdown("**The classifier’s answer**")
        st.header(f"{plain(heading(answer.label))} · {percent(answer.confidence)}", anchor=False)
        st.markdown("Press **Purify** to see what each method makes of it, step by step.")
        if session.origin is None:
            st.markdown("This scan is not one that was attacked here: purification should leave its answer alone.")


def draw_mode(session: Session) -> None:
    """Into the teacher's mode, which is nothing but the stage, and out of it."""
    # No toggle: it would keep the focus, and arrow keys that go to a widget step nowhere.
    label, icon = ("Leave teacher’s mode", "close") if session.teaching else ("Teacher’s mode", "co_present")
    st.button(label, icon=f":material/{icon}:", on_click=session.switch_teaching, key="teacher", shortcut="Alt+T")


def draw_input(session: Session) -> None:
    """Which scan it is, and the way to the attacked copy from the Attack page."""
    assert session.scan
    if session.origin is not None:
        st.caption(f"{plain(session.scan.name)}. Its clean original is known, and every estimate is compared with it.")
        return
    copy = session.attacked_copy
    if copy and st.button("Take the attacked copy", icon=":material/bolt:", key="take-attacked"):
        session.take_attacked(copy.scan, copy.before)
        st.rerun()
