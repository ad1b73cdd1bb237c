"""The card that leads through a tour, from page to page."""

from __future__ import annotations

import streamlit as st

from pages.shared.examinations import attack
from pages.shared.runtime import DEFAULT_BUNDLE
from pages.shared.session import TOUR_SAMPLE, Session
from pages.shared.tours.steps import PLACES, TOURS, Step, Tour


def start_tour(session: Session, key: str) -> None:
    """Begin a tour, which speaks of brain scans; the sample it begins with is opened by the next page."""
    if session.bundle != DEFAULT_BUNDLE:
        session.choose_bundle(DEFAULT_BUNDLE)
    session.tour, session.step, session.wanted = key, 0, TOUR_SAMPLE
    session.problem = None


def draw_tour(session: Session, here: str) -> str | None:
    """Draw the current step's card and bring the scan into the state it speaks of; its focus, None where it has none.

    `here` is the page that is open; on another page than the step's there is only the way back to the tour.
    """
    if session.tour is None:
        return None
    tour = TOURS[session.tour]
    step = tour.steps[session.step]
    if step.page != here:
        st.page_link(step.page, label=f"Back to the tour: {step.title}", icon=":material/tour:")
        return None
    _prepare(session, step)
    with st.container(border=True, key="tour"):
        st.caption(f"{tour.icon} {tour.title}’s tour · step {session.step + 1} of {len(tour.steps)}")
        st.subheader(step.title, anchor=False)
        st.markdown(step.text)
        st.markdown(f":material/visibility: Look at **{PLACES[step.focus]}**.")
        with st.container(horizontal=True):
            if st.button("Back", icon=":material/arrow_back:", disabled=session.step == 0, key="tour-back"):
                _move(session, tour, -1)
            last = session.step == len(tour.steps) - 1
            if not last and st.button("Next", icon=":material/arrow_forward:", type="primary", key="tour-next"):
                _move(session, tour, 1)
            st.button(
                "Finish" if last else "Leave the tour",
                type="primary" if last else "tertiary",
                on_click=_leave,
                args=(session,),
            )
    return step.focus


def _move(session: Session, tour: Tour, by: int) -> None:
    session.step = min(max(session.step + by, 0), len(tour.steps) - 1)  # two quick clicks must not run past the end
    st.switch_page(tour.steps[session.step].page)


def _leave(session: Session) -> None:
    session.tour = None


def _prepare(session: Session, step: Step) -> None:
    if step.attacked and session.origin is None:
        attack(session)
        st.rerun()
    if step.attacked is False and session.origin is not None:
        session.take(session.origin, session.sample)
        st.rerun()
