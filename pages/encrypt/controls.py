"""How the server is asked: which head, which encryption parameters, which server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.visit.asked import refuse
from pages.shared.words import kilobytes, number

if TYPE_CHECKING:
    from core.encryption import Preset, Server
    from pages.encrypt.state import EncryptState
    from pages.shared.session import Session

HEADS = {"linear": "Linear", "polynomial": "Polynomial, one hidden layer"}
HEAD_HELP = (
    "The last layers of the network, which the server computes. Encrypted numbers can be added and multiplied and "
    "nothing else, so the hidden layer's activation is the square, and the head was trained with it."
)
OWN = "The app’s own, a separate process"
LISTED = "PURESCAN_ENCRYPTION_SERVERS"


def take_asked(session: Session, state: EncryptState) -> None:
    """Choose the head and the encryption parameters that the address asks for."""
    from core.encryption import PRESETS, default_preset

    asked, wrong = session.visit.asked, {}
    head, preset = (asked.pop(name, None) for name in ("head", "preset"))
    if head is not None:
        if head in ("", *HEADS):
            session.head = st.session_state["encrypt-head"] = head or next(iter(HEADS))
        else:
            wrong["head"] = head
    if preset is not None:
        if not preset or (preset in PRESETS and PRESETS[preset].depth):
            own = default_preset(state.head(session.head).shape).name
            session.preset = "" if preset == own else preset
            st.session_state[f"encrypt-preset-{session.head}"] = preset or own
        else:
            wrong["preset"] = preset
    refuse(session, wrong)


def note_choices(session: Session) -> None:
    """Have head and parameters stand in the address, where they aren't what the page begins with."""
    head = session.head if session.head != next(iter(HEADS)) else ""
    session.visit.words = {"head": head, "preset": session.preset}


def draw_controls(session: Session, state: EncryptState, locked: bool) -> None:
    """Head, preset and server, as the visit keeps them."""
    from core.encryption import PRESETS, default_preset

    how = {"format_func": HEADS.get, "required": True, "disabled": locked, "help": HEAD_HELP, "key": "encrypt-head"}
    session.head = st.segmented_control("Head", list(HEADS), default=session.head, **how) or session.head
    names = [name for name, preset in PRESETS.items() if preset.depth]
    own = default_preset(state.head(session.head).shape).name
    now = session.preset or own
    titles = {name: f"{name}: {PRESETS[name].title}" for name in names}
    how = {"format_func": titles.get, "disabled": locked, "key": f"encrypt-preset-{session.head}"}
    chosen = st.selectbox("Encryption parameters", names, index=names.index(now), **how)
    session.preset = "" if chosen == own else chosen
    draw_preset(PRESETS[chosen])
    if servers := listed_servers():
        offered = ["", *servers]
        # Where the widget was not drawn for a while it is a new one, and begins with what the visit keeps.
        how = {"format_func": lambda name: name or OWN, "key": "encrypt-server"}
        now = offered.index(session.server) if session.server in offered else 0
        chosen = st.selectbox("Server", offered, index=now, **how)
        session.server = chosen if chosen in servers else ""


def listed_servers() -> list[str]:
    """The encryption servers that the operator lets visitors ask, beside the app's own: http://host:port, ….

    A visitor who could name any would have this machine knock at every door of its network.
    """
    return [name.strip() for name in os.environ.get(LISTED, "").split(",") if name.strip()]


def draw_preset(preset: Preset) -> None:
    """What a choice of parameters means, in one line."""
    st.caption(
        f"Degree {preset.degree:,}, modulus of {preset.modulus_bits} bits: {preset.security}-bit security. Logits to "
        f"±{number(preset.precision)}."
    )


def chosen_preset(session: Session, state: EncryptState) -> Preset:
    """The preset that the visitor chose, or the head's own."""
    from core.encryption import default_preset, find_preset

    return find_preset(session.preset) if session.preset else default_preset(state.head(session.head).shape)


def chosen_server(session: Session) -> Server:
    """The listed server that the visitor chose, or the app's own; ValueError where what is listed is no address."""
    from core.encryption import Server, shared_server

    return Server(session.server) if session.server in listed_servers() else shared_server()


def draw_prices(state: EncryptState) -> None:
    """What precision, depth and security cost, preset by preset; of the one that was asked with, what it has cost."""
    from core.encryption import PRESETS

    answer = state.answer
    paid = {state.preset: answer} if answer else {}
    rows = [
        {
            "Preset": f"{preset.name}, as asked above" if preset.name in paid else preset.name,
            "Degree": f"{preset.degree:,}",
            "Modulus, bits": str(preset.modulus_bits),
            "Security, bits": str(preset.security),
            "Multiplications": str(preset.depth),
            "Error of a logit, at most": number(preset.precision) if preset.depth else "adds only",
            "Up": kilobytes(paid.get(preset.name, preset).upload_kb),
            "Down": kilobytes(paid.get(preset.name, preset).download_kb),
            "Keys, once": kilobytes(paid.get(preset.name, preset).keys_kb),
        }
        for preset in PRESETS.values()
    ]
    st.dataframe(rows, hide_index=True)  # where it is wider than the page, keys can scroll it
    st.caption(
        "Security is that of the HomomorphicEncryption.org standard (2018) for the degree and the whole modulus. A "
        "deeper or more precise computation needs a larger modulus, and that a larger degree."
    )
