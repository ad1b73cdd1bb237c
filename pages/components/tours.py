"""The card that leads through a tour of the Examine page."""

from __future__ import annotations

import streamlit as st

from pages.components.examining import attack
from pages.components.state import TOUR_SAMPLE, Visit
from pages.components.tour_steps import PLACES, TOURS, Step


def start_tour(visit: Visit, key: str) -> None:
    """Begin a tour; the sample it begins with is opened by the next page."""
    visit.tour, visit.step, visit.wanted = key, 0, TOUR_SAMPLE
    visit.problem = None


def draw_tour(visit: Visit) -> str | None:
    """Draw the current step's card and bring the scan into the state it speaks of; its focus, None without a tour."""
    if visit.tour is None:
        return None
    tour = TOURS[visit.tour]
    step = tour.steps[visit.step]
    _prepare(visit, step)
    with st.container(border=True, key="tour"):
        st.caption(f"{tour.icon} {tour.title}’s tour · step {visit.step + 1} of {len(tour.steps)}")
        st.subheader(step.title, anchor=False)
        st.markdown(step.text)
        st.markdown(f":material/visibility: Look at **{PLACES[step.focus]}**.")
        with st.container(horizontal=True):
            st.button("Back", icon=":material/arrow_back:", disabled=visit.step == 0, on_click=_move, args=(visit, -1))
            last = visit.step == len(tour.steps) - 1
            if not last:
                st.button("Next", icon=":material/arrow_forward:", type="primary", on_click=_move, args=(visit, 1))
            label, kind = ("Finish", "primary") if last else ("Leave the tour", "tertiary")
            st.button(label, type=kind, on_click=_leave, args=(visit,))
    return step.focus


def _move(visit: Visit, by: int) -> None:
    last = len(TOURS[visit.tour].steps) - 1 if visit.tour else 0
    visit.step = min(max(visit.step + by, 0), last)  # two quick clicks must not run past the end


def _leave(visit: Visit) -> None:
    visit.tour = None


def _prepare(visit: Visit, step: Step) -> None:
    if step.attacked and visit.origin is None:
        attack(visit)
        st.rerun()
    if not step.attacked and visit.origin is not None:
        visit.take(visit.origin, visit.sample)
        st.rerun()
