"""Home: what Purescan is, in one screen, and three ways in."""

import streamlit as st

from pages.home.story import draw_story
from pages.shared.runtime import DEFAULT_BUNDLE
from pages.shared.session import current_session
from pages.shared.tours import start_tour
from pages.shared.tours.steps import TOURS
from pages.shared.visit.address import go_to

PAGES = (
    ("examine", "Examine", ":material/radiology:", "One scan, one decision, and the evidence it rests on."),
    ("attack", "Attack", ":material/bolt:", "Attack a scan step by step, and see whether the defence holds."),
    ("purify", "Purify", ":material/healing:", "What purification does to a scan, method beside method."),
    ("detect", "Detect", ":material/search_insights:", "What the detector sees, what it misses, and what it costs."),
    ("across", "Across tasks", ":material/compare:", "Does the defence carry over to other kinds of scans?"),
    ("audit", "Audit", ":material/fact_check:", "A whole cohort through the defence, with a report to keep."),
    ("experts", "Experts", ":material/groups:", "A mixture opened up: who decides, and where they look."),
    ("faults", "Faults", ":material/memory:", "Flip a bit in a network’s memory, and see who notices."),
    ("encrypt", "Encrypt", ":material/lock:", "Ask a server that never sees the scan."),
    ("federate", "Federate", ":material/hub:", "Hospitals that train together and keep their scans."),
)

session = current_session()
st.title("See a medical image classifier attacked, and defended", anchor=False)
st.markdown(
    "A change too small to see can turn a classifier’s answer round. Purescan shows the attack, detects it, undoes "
    "it, and checks what the cure cost."
)
draw_story()

st.header("Take a tour", anchor=False)
if session.bundle != DEFAULT_BUNDLE:
    st.caption(f"The tours speak of brain scans: a tour switches to the model bundle {DEFAULT_BUNDLE}.")
tours = st.grid(len(TOURS), min_column_width=280)
for tour in TOURS.values():
    with tours.container(border=True, height="stretch"):
        st.subheader(f"{tour.icon} {tour.title}", anchor=False)
        st.markdown(tour.promise)
        st.markdown("\n".join(f"{number}. {step.title}" for number, step in enumerate(tour.steps, 1)))
        st.space("stretch")
        # Started in the callback: an upload that is just being opened would be opened before this line is reached.
        first = session.step if session.left_tour == tour.key else 0
        name = f"{tour.title.lower()}’s tour"
        pressed = st.button(
            f"Resume the {name} at step {first + 1}" if first else f"Start the {name}",
            key=f"tour-{tour.key}", type="primary", width="stretch",
            on_click=start_tour, args=(session, tour.key, first),
        )  # fmt: skip
        if pressed:
            go_to("examine")

st.header("Or go straight to a page", anchor=False)
pages = st.grid(len(PAGES), min_column_width=220)
for name, title, icon, text in PAGES:
    with pages.container(border=True, height="stretch", gap="small"):
        st.markdown(text)
        st.space("stretch")
        if st.button(title, icon=icon, key=f"page-{name}", width="stretch"):
            go_to(name)
