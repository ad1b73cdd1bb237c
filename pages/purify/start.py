"""The scan on the Purify page before anything is done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import answer_of, take_copy, take_original
from pages.shared.regions import region_as_seen
from pages.shared.session import Session
from pages.shared.story import cards
from pages.shared.viewer.comparison import draw_comparison
from pages.shared.words import heading, percent, plain

if TYPE_CHECKING:
    from core import Examination, Scan


PRESS = "Press **Purify** to see what each method makes of it, step by step."


def draw_idle(session: Session, before: Examination, reference: Examination | None) -> None:
    """The scan and its answer before anything is done here; an attacked copy beside its original, `reference`."""
    assert session.scan
    if reference:
        _draw_attacked(session, before, reference)
        return
    halves = st.grid(2, min_column_width=220, gap="medium")
    with halves.cell():
        _draw_scan(session.scan, before)
    with halves.cell():
        _draw_answer("The classifier’s answer", before)
        st.markdown(PRESS)
        st.markdown("This scan is not one that was attacked here: purification should leave its answer alone.")


def _draw_attacked(session: Session, before: Examination, reference: Examination) -> None:
    """All three pictures; the answers stand above, but to a class, which sees them here."""
    large = session.visit.class_view
    if large:
        words = cards.in_short(reference, before)
        grid = st.grid(len(words), min_column_width=170)
        for title, answer in words.items():
            with grid.cell():
                st.markdown(title)
                st.header(plain(answer), anchor=False)
    else:
        st.markdown(PRESS)
    assert session.origin
    pictures = cards.pictures(reference, before)
    region = region_as_seen(session, before.pixels.shape[-1])
    draw_comparison(pictures, session.origin, reference.frame.shape, region=region, large=large)


def _draw_answer(title: str, exam: Examination) -> None:
    answer = answer_of(exam)
    st.markdown(f"**{title}**")
    st.header(f"{plain(heading(answer.label))} · {percent(answer.confidence)}", anchor=False)


def _draw_scan(scan: Scan, before: Examination) -> None:
    from core.explanation import overlays

    picture = overlays.model_png(before.pixels, before.frame.shape, scan.spacing)
    st.image(picture, "Input", "stretch", output_format="PNG", alt=f"Scan {scan.name}. Input")


def take_attacked(session: Session) -> None:
    """What was attacked last on the Attack page is what is purified, until something else is chosen."""
    copy = session.attacked_copy
    if copy and session.scan is not copy.scan and not take_copy(session, copy.settings, copy.seed):
        session.attacked_copy = None


def draw_input(session: Session) -> None:
    """Which scan it is, and of an attacked copy the way back to what it was made of."""
    if session.origin is None or session.scan is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        name = plain(session.scan.name)
        st.caption(f"{name}. Its clean original is known, and every estimate is compared with it.", width="content")
        if st.button("Purify the original instead", icon=":material/undo:", key="take-original"):
            take_original(session)
            session.attacked_copy = None
            st.rerun()
    cards.draw_other_aim(session)
