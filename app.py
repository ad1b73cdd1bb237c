"""The entry point: theme, navigation, the pickers that all pages share, and the boundary that hides tracebacks."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.shared.errors import shown_errors
from pages.shared.notice import draw_notice
from pages.shared.pickers import draw_pickers, open_wanted
from pages.shared.runtime import engine, wait_until_ready
from pages.shared.session import current_session

st.set_page_config(page_title="Purescan", page_icon="assets/icon.svg", layout="wide")
st.logo("assets/logo.svg", size="large", icon_image="assets/icon.svg")

PAGES = {
    "": [("home", "Home", "home")],
    "Scan": [("examine", "Examine", "radiology"), ("attack", "Attack", "bolt"), ("purify", "Purify", "healing")],
    "Evidence": [("detect", "Detect", "search_insights"), ("audit", "Audit", "fact_check")],
    "Labs": [("experts", "Experts", "groups"), ("faults", "Faults", "memory"), ("encrypt", "Encrypt", "lock")],
}


def page_of(name: str, title: str, icon: str) -> StreamlitPage:
    """A page at the address that bears its name; Home at the root."""
    home = name == "home"
    path = None if home else name
    return st.Page(f"pages/{name}/page.py", title=title, icon=f":material/{icon}:", url_path=path, default=home)


page = st.navigation({section: [page_of(*entry) for entry in entries] for section, entries in PAGES.items()})
session = current_session()
draw_notice(session)
with shown_errors():
    open_wanted(session, draw_pickers(session, engine()), stay=page.title != "Home")
with shown_errors():
    page.run()
# Only now: the first page must not share the processor with the loading of torch.
with st.sidebar:
    wait_until_ready()
