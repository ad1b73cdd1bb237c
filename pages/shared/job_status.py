"""How a run in the background ended, where it did not come to its own end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.jobs import sentence
from pages.shared.words import plain

if TYPE_CHECKING:
    from pages.shared.jobs import Run


def draw_ending(run: Run, how_far: str = "") -> None:
    """What went wrong, or that it was stopped; `how_far` such as " after 3 of 9 experts", empty where it is plain."""
    if run.error:
        st.error(plain(sentence(run.error)), icon=":material/error:")
    elif run.cut_short:
        why = ", as nobody was watching" if run.abandoned else ""
        text = f"Stopped{how_far}{why}. What is shown is how far it had come."
        st.info(text, icon=":material/stop_circle:")
