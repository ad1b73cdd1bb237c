"""Recorded studies: what they found on top, and the command that makes them, folded away for those who run commands."""

from __future__ import annotations

import streamlit as st

from pages.shared.visit.stage import say


def draw_finding(sentence: str) -> None:
    """What a study found, in one sentence computed from its figures, above them."""
    if not say(sentence):
        st.info(sentence, icon=":material/lightbulb:")


def draw_command(command: str, what: str = "") -> None:
    """The command behind recorded figures, folded away; `what` tells it from others of the same page."""
    with st.expander(f"For developers: the command behind {what or 'these figures'}", icon=":material/terminal:"):
        st.code(command, language="bash", wrap_lines=True)


def draw_unrecorded(sentence: str, command: str, what: str = "") -> None:
    """That figures are not there, in one sentence, and the command that makes them, folded away."""
    st.info(sentence, icon=":material/info:")
    with st.expander(f"For developers: the command that records {what or 'them'}", icon=":material/terminal:"):
        st.code(command, language="bash", wrap_lines=True)
