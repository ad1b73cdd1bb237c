"""The view for a class: no sidebar, large type, pictures that fill the height, and a key for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.visit.address import go_to
from pages.shared.visit.components import component

if TYPE_CHECKING:
    from pages.shared.session import Session

# Key → the buttons that it presses, by their own keys: the first one that is on the page and can be pressed.
BUTTONS = {
    "ArrowLeft": ["attack-back", "purify-back"],
    "ArrowRight": ["attack-next", "purify-next"],
    "Home": ["attack-start", "purify-start"],
    "End": ["attack-end", "purify-end"],
    "ArrowUp": ["path-more"],
    "ArrowDown": ["path-less"],
    " ": [
        *(
            "purify-play",
            "attack-next",
            "purify",
            "attack",
            "encrypt",
            "encrypt-cohort",
            "leak",
            "trial-start",
            "federate-start",
        ),
        *("experts-attack", "path-start", "look", "faults-search"),
        *(f"faults-measure-{what}" for what in ("flips", "layers", "bits", "activations")),
    ],
    "a": ["attack", "experts-attack"],
    "p": ["purify"],
    "f": ["faults-flip"],
    "u": ["faults-undo-all"],
}
# Key → the page that it opens where none of its buttons is there.
PAGES = {"a": "attack", "p": "purify"}
# What a comparison of pictures does itself.
COMPARISON = ["f", "d"]
# Pages whose sections the arrows turn: those within a part before the parts.
SECTIONED = {name: [f"{name}-section"] for name in ("across", "experts", "faults", "encrypt", "federate")}
SECTIONED["detect"] = ["detect-section", "detect-now", "detect-part"]
# Key → how the keys begin of the choices among which it takes the next one, and after the last the first.
CYCLES = {"g": "faults-guard-"}
KEYS = "**← →** steps · **Space** plays · **A** attacks · **P** purifies · **F** flips · **D** flickers"
OWN_KEYS = {
    "detect": "**← →** sections · **Space** attacks the samples, under ‘Recompute’",
    "across": "**← →** sections",
    "experts": "**← →** sections · **A** attacks the mixture · **Space** begins · **↑ ↓** more and less of ε",
    "faults": "**← →** sections · **F** flips · **U** takes all back · **G** the guard · **Space** begins",
    "federate": "**← →** sections · **Space** starts a federation, under ‘Live’",
    "encrypt": "**← →** sections · **Space** asks, or recovers the scan",
}


def draw_class_view(session: Session) -> None:
    """The keys and the look of the view for a class, where it is on, and the way out of it; else the way into it."""
    visit = session.visit
    data: dict[str, Any] = {"on": visit.class_view}
    if visit.class_view:
        data |= {"buttons": BUTTONS, "pages": PAGES, "comparison": COMPARISON, "cycles": CYCLES}
        data["sections"] = SECTIONED.get(visit.page, [])
    wanted = component("classroom")(key="classroom", data=data, on_page_change=lambda: None).page
    if visit.class_view and wanted in PAGES.values():
        go_to(wanted)


def draw_switch(session: Session) -> None:
    """The way into the view for a class, above the page, or out of it, at its foot."""
    visit = session.visit
    # No toggle: it would keep the focus, and keys that go to a widget do nothing else.
    label, icon = ("Leave the class view", "close") if visit.class_view else ("Class view", "co_present")
    with st.container(
        key="class-bar" if visit.class_view else "class-way", horizontal=True, vertical_alignment="center"
    ):
        if visit.class_view:
            st.caption(f"Keys: {OWN_KEYS.get(visit.page, KEYS)}")
        st.button(
            label, icon=f":material/{icon}:", on_click=visit.switch_class_view, key="class-view", shortcut="Alt+T",
            type="tertiary",
        )  # fmt: skip
