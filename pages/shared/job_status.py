"""How a run in the background ended, where it did not come to its own end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.jobs import sentence
from pages.shared.words import plain

if TYPE_CHECKING:
    from pages.shared.jobs import Job


def draw_ending(job: Job, how_far: str = "") -> None:
    """What went wrong, or that it was stopped; `how_far` such as " after 3 of 9 experts", empty where it is plain."""
    if job.error:
        st.error(plain(sentence(job.error)), icon=":material/error:")
    elif job.cut_short:
        why = ", as nobody was watching" if job.abandoned else ""
        text = f"Stopped{how_far}{why}. What is shown is how far it had come."
        st.info(text, icon=":material/stop_circle:")
