"""The entry point: theme, navigation, the pickers that all pages share, and the boundary that hides tracebacks."""

import streamlit as st

from pages.components.boundary import shown_errors
from pages.components.engine import engine, wait_until_ready
from pages.components.notice import draw_notice
from pages.components.pickers import draw_pickers, open_wanted
from pages.components.state import current_visit

st.set_page_config(page_title="Purescan", page_icon="assets/icon.svg", layout="wide")
st.logo("assets/logo.svg", size="large", icon_image="assets/icon.svg")

page = st.navigation(
    [
        st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
        st.Page("pages/examine.py", title="Examine", icon=":material/radiology:"),
        st.Page("pages/detect.py", title="Detect", icon=":material/search_insights:"),
        st.Page("pages/attack.py", title="Attack", icon=":material/bolt:"),
        st.Page("pages/purify.py", title="Purify", icon=":material/healing:"),
        st.Page("pages/experts.py", title="Experts", icon=":material/groups:"),
        st.Page("pages/faults.py", title="Faults", icon=":material/memory:"),
        st.Page("pages/encrypt.py", title="Encrypt", icon=":material/lock:"),
        st.Page("pages/audit.py", title="Audit", icon=":material/fact_check:"),
    ]
)
visit = current_visit()
draw_notice(visit)
with shown_errors():
    open_wanted(visit, draw_pickers(visit, engine()), stay=page.title != "Home")
with shown_errors():
    page.run()
# Only now: the first page must not share the processor with the loading of torch.
with st.sidebar:
    wait_until_ready()
