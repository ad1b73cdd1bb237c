"""The entry point: theme, navigation, the pickers that all pages share, and the boundary that hides tracebacks."""

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.shared.errors import shown_errors
from pages.shared.notice import draw_notice
from pages.shared.pickers import draw_pickers, open_wanted
from pages.shared.runtime import engine, wait_until_ready
from pages.shared.visit.address import read_address, write_address
from pages.shared.visit.asked import draw_address_problem
from pages.shared.visit.class_view import draw_class_view, draw_switch
from pages.shared.visit.greeting import greet, take_unknown_page
from pages.shared.visit.opened_scan import place_as_asked

st.set_page_config(page_title="Purescan", page_icon="assets/icon.svg", layout="wide")
st.html(Path(__file__).parent / "assets" / "readable.css")
st.logo("assets/logo.svg", size="large", icon_image="assets/icon.svg")

PAGES = {
    "": [("home", "Home", "home")],
    "Scan": [("examine", "Examine", "radiology"), ("attack", "Attack", "bolt"), ("purify", "Purify", "healing")],
    "Evidence": [
        ("detect", "Detect", "search_insights"),
        ("across", "Across tasks", "compare"),
        ("audit", "Audit", "fact_check"),
    ],
    "Labs": [
        ("experts", "Experts", "groups"),
        ("faults", "Faults", "memory"),
        ("encrypt", "Encrypt", "lock"),
        ("federate", "Federate", "hub"),
    ],
}
NAMES = tuple(name for entries in PAGES.values() for name, *_ in entries)


def page_of(name: str, title: str, icon: str) -> StreamlitPage:
    """A page at the address that bears its name; Home at the root."""
    home = name == "home"
    path = None if home else name
    return st.Page(f"pages/{name}/page.py", title=title, icon=f":material/{icon}:", url_path=path, default=home)


missed = take_unknown_page(NAMES)
page = st.navigation({section: [page_of(*entry) for entry in entries] for section, entries in PAGES.items()})
session = greet(missed)
draw_notice(session)
address_problem = st.empty()
with shown_errors():
    read_address(session, page.url_path or "home", NAMES)
    draw_class_view(session)
    draw_pickers(session, engine(), every_bundle=page.title in {title for _, title, _ in PAGES["Labs"]})
    open_wanted(session, stay=page.title != "Home")
    place_as_asked(session)
draw_address_problem(session, address_problem)
draw_switch(session)
with shown_errors():
    page.run()
draw_address_problem(session, address_problem)  # the page may have found more
write_address(session)
# Only now: the first page must not share the processor with the loading of torch.
with st.sidebar:
    wait_until_ready()
