"""What a bundle can't do for want of networks, and the way to one that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.session import DEFAULT_BUNDLE, current_session
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Bundle


def draw_lacking(models: Bundle) -> None:
    """Its sentence, and the way on."""
    st.info(plain(models.lacks or ""), icon=":material/info:")
    draw_switch(models)


def draw_switch(models: Bundle) -> None:
    """A button to the bundle that every page works with."""
    if models.name != DEFAULT_BUNDLE:
        label = f"Switch to {DEFAULT_BUNDLE}"
        st.button(label, icon=":material/swap_horiz:", key="switch-bundle", on_click=_switch)


def _switch() -> None:
    current_session().choose_bundle(DEFAULT_BUNDLE)
