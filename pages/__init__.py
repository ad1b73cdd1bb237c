"""One page a file, each a view of core's results; what pages share lies in `components`."""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

# Until the first `st.navigation` of a process, Streamlit takes any folder named pages for one of its older multipage
# apps and runs the file that an address like /examine names without app.py. One rerun, and app.py is in charge.
if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False
    st.rerun()
