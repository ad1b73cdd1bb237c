"""The sections of a page, of which one is shown at a time and stands in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.shared.session import current_session
from pages.shared.visit.asked import refuse


def pick_section(page: str, sections: Sequence[str]) -> str:
    """Ask which section is shown: the one of the address, else the last, else the first."""
    key = f"{page}-section"
    choose_asked(page, {section: {key: section} for section in sections})
    section = choose("Section", sections, key)
    note_section(section if section != sections[0] else "")
    return section


def choose_asked(page: str, known: Mapping[str, Mapping[str, str]]) -> None:
    """Choose what the address asks for: section → the choices, by the keys of their widgets, that lead to it.

    The first of `known` is what the page begins with.
    """
    session = current_session()
    asked = session.visit.asked.pop("section", None)
    if asked is None:
        return
    named = {_word(section): choices for section, choices in known.items()}
    if asked and asked not in named:
        refuse(session, {"section": asked})
    for key, value in named.get(asked, next(iter(named.values()))).items():
        st.session_state[key] = value


def choose(label: str, options: Sequence[str], key: str) -> str:
    """One of the options, as the visit keeps it; the first where it keeps one that isn't among them."""
    if (kept := st.session_state.get(key)) is not None and kept not in options:
        del st.session_state[key]
    chosen = st.segmented_control(
        label, options, default=options[0], required=True, key=key, label_visibility="collapsed",
        persist_state="session",
    )  # fmt: skip
    return chosen or options[0]


def note_section(section: str) -> None:
    """Have a section stand in the address; empty where it is what the page begins with."""
    current_session().visit.section = _word(section)


def _word(section: str) -> str:
    """A section's name in the address."""
    return section.lower().replace(" ", "-")
