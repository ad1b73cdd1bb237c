"""The card that leads through a tour, from page to page."""

from __future__ import annotations

import streamlit as st

from pages.components.examining import attack
from pages.components.state import DEFAULT_BUNDLE, TOUR_SAMPLE, Visit
from pages.components.tour_steps import PLACES, TOURS, Step


def start_tour(visit: Visit, key: str) -> None:
    """Begin a tour, which speaks of brain scans; the sample it begins with is opened by the next page."""
    if visit.bundle != DEFAULT_BUNDLE:
        visit.choose_bundle(DEFAULT_BUNDLE)
    visit.tour, visit.step, visit.wanted = key, 0, TOUR_SAMPLE
    visit.problem = None


def draw_tour(visit: Visit, here: str) -> str | None:
    """Draw the current step's card and bring the scan into the state it speaks of; its focus, None where it has none.

    `here` is the page that is open; on another page than the step's there is only the way back to the tour.
    """
    if visit.tour is None:
        return None
    tour = TOURS[visit.tour]
    step = tour.steps[visit.step]
    if step.page != here:
        st.page_link(step.page, label=f"Back to the tour: {step.title}", icon=":material/tour:")
        return None
    _prepare(visit, step)
    with st.container(border=True, key="tour"):
        st.caption(f"{tour.icon} {tour.title}’s tour · step {visit.step + 1} of {len(tour.steps)}")
        st.subheader(step.title, anchor=False)
        st.markdown(step.text)
        st.markdown(f":material/visibility: Look at **{PLACES[step.focus]}**.")
        with st.container(horizontal=True):
            if st.button("Back", icon=":material/arrow_back:", disabled=visit.step == 0, key="tour-back"):
                _move(visit, -1)
            last = visit.step == len(tour.steps) - 1
            if not last and st.button("Next", icon=":material/arrow_forward:", type="primary", key="tour-next"):
                _move(visit, 1)
            label, kind = ("Finish", "primary") if last else ("Leave the tour", "tertiary")
            st.button(label, type=kind, on_click=_leave, args=(visit,))
    return step.focus


def _move(visit: Visit, by: int) -> None:
    steps = TOURS[visit.tour].steps
    visit.step = min(max(visit.step + by, 0), len(steps) - 1)  # two quick clicks must not run past the end
    st.switch_page(steps[visit.step].page)


def _leave(visit: Visit) -> None:
    visit.tour = None


def _prepare(visit: Visit, step: Step) -> None:
    if step.attacked and visit.origin is None:
        attack(visit)
        st.rerun()
    if step.attacked is False and visit.origin is not None:
        visit.take(visit.origin, visit.sample)
        st.rerun()
