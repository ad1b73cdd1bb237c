"""Said once a browser: this is no medical device."""

import streamlit as st

from pages.shared.session import Session, current_session


def draw_notice(session: Session) -> None:
    """Open the notice until the visitor has closed it."""
    if not session.notice_seen:
        _notice()


def _seen() -> None:
    current_session().notice_seen = True


@st.dialog("Before you start", icon=":material/info:", on_dismiss=_seen)
def _notice() -> None:
    st.markdown(
        "**Purescan is not a medical device.** It shows how image classifiers are attacked and defended. "
        "No answer it gives may guide the care of a patient."
    )
    st.markdown(
        "Scans that you upload stay in this server's memory. They go some minutes after you leave; until then the "
        "same tab finds them again."
    )
    if st.button("I understand", type="primary", on_click=_seen, key="notice-understood", width="stretch"):
        st.rerun()
