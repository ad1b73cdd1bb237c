"""The card that leads through a tour, from page to page."""

from __future__ import annotations

from pathlib import PurePosixPath

import streamlit as st

from pages.shared.examinations import attack, attacked_otherwise
from pages.shared.runtime import DEFAULT_BUNDLE
from pages.shared.session import TOUR_SAMPLE, Session
from pages.shared.tours.places import PLACES
from pages.shared.tours.steps import TOURS
from pages.shared.tours.tour import Step, Tour
from pages.shared.visit.address import go_to
from pages.shared.visit.asked import ask_for
from pages.shared.visit.components import component
from pages.shared.words import plain


def start_tour(session: Session, key: str, step: int = 0) -> None:
    """Begin a tour, which speaks of brain scans, at a step; the sample it begins with is opened by the next page."""
    # With its default classifier: what a tour says of purification is true under the clinical policy alone.
    session.choose_bundle(DEFAULT_BUNDLE)
    session.tour, session.step, session.wanted = key, step, TOUR_SAMPLE
    session.problem = session.left_tour = None
    session.visit.toured = ""


def draw_tour(session: Session, here: str) -> None:
    """Draw the current step's card, ring what it speaks of, and bring the scan into the state that it needs.

    `here` is the page that is open; on another page than the step's there is only the way back to the tour.
    """
    if session.tour is None:
        return
    tour = TOURS[session.tour]
    step = tour.steps[session.step]
    if step.page != here:
        st.page_link(step.page, label=f"Back to the tour: {step.title}", icon=":material/tour:")
        return
    _prepare(session, step)
    _set_controls(session, tour, step)
    with st.container(border=True, key="tour", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader(step.title, anchor=False, width="content")
            st.caption(
                f"{tour.icon} {tour.title}’s tour · step {session.step + 1} of {len(tour.steps)}", width="content"
            )
        place = PLACES[step.focus]
        st.markdown(f"{step.text} :material/visibility: Look at **{place.words}**: {step.see}")
        now = {"key": place.key, "edge": place.edge, "step": f"{tour.key} {session.step}"}
        component("spotlight")(key="spotlight", data=now)
        last = session.step == len(tour.steps) - 1
        if last:
            _draw_next(tour)
        with st.container(horizontal=True):
            if st.button("Back", icon=":material/arrow_back:", disabled=session.step == 0, key="tour-back"):
                _move(session, tour, -1)
            if not last and st.button("Next", icon=":material/arrow_forward:", type="primary", key="tour-next"):
                _move(session, tour, 1)
            st.button(
                "Finish" if last else "Leave the tour",
                type="primary" if last else "tertiary",
                on_click=_leave,
                args=(session, not last),
            )


def page_of(tour: Tour, step: int) -> str:
    """The name of the page that a step is on."""
    return PurePosixPath(tour.steps[step].page).parent.name


def _move(session: Session, tour: Tour, by: int) -> None:
    session.step = min(max(session.step + by, 0), len(tour.steps) - 1)  # two quick clicks must not run past the end
    go_to(page_of(tour, session.step))


def _draw_next(tour: Tour) -> None:
    st.markdown("**What next?**")
    with st.container(horizontal=True):
        for page, words in tour.after.items():
            st.page_link(page, label=words, icon=":material/arrow_forward:", width="content")


def _leave(session: Session, unfinished: bool) -> None:
    session.left_tour = session.tour if unfinished else None
    session.tour = None
    session.visit.asked.pop("press", None)


def _set_controls(session: Session, tour: Tour, step: Step) -> None:
    """Set what the step speaks of, once: the visitor may set it otherwise."""
    now = f"{tour.key} {session.step}"
    if session.visit.toured != now:
        session.visit.toured = now
        ask_for(session, step.asks, step.press)
        st.session_state.update(step.sets)
    for key, value in step.sets.items():
        st.session_state.setdefault(key, value)  # the page was left, and its widgets are new


def _attacked_as_told(session: Session) -> bool:
    """Whether the open scan is the copy that the tours speak of: one of PGD-40 at 8/255, for who is asked now."""
    from core.attacks import PGD

    if session.origin is None or attacked_otherwise(session):
        return False
    return (session.attacked_by, session.attacked_seed) == (PGD, 0)


def _prepare(session: Session, step: Step) -> None:
    if step.attacked and not _attacked_as_told(session):
        try:
            attack(session)
        except ValueError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        st.rerun()
    if step.attacked is False and session.origin is not None:
        session.take(session.origin, session.sample)
        st.rerun()
