"""Random flips, the list of all that is flipped, and the ways back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.state import FaultsState
from pages.faults.words import counted_flips, fault_text, value_text
from pages.shared.runtime import heavy_work
from pages.shared.words import plain

if TYPE_CHECKING:
    import numpy as np

    from core.faults import Fault

MOST = 1000
SHOWN = 20
WEIGHTS, ACTIVATIONS = "Weights", "Activations"
KINDS = {WEIGHTS: "weight", ACTIVATIONS: "activation"}
EVERYWHERE, LAYER, TENSOR = "Whole network", "This layer", "This tensor"


def draw_random(state: FaultsState, pixels: np.ndarray) -> None:
    """Ask how many flips of what and where, and draw them."""
    st.subheader("Flip bits at random", anchor=False)
    kept = {"required": True, "persist_state": "session"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.number_input("Flips", 1, MOST, 1, key="faults-count", width=130, persist_state="session")
        # The autoencoder has no chain of layers whose outputs could be hit.
        kinds = list(KINDS) if state.measurable else [WEIGHTS]
        key = f"faults-kind-{state.measurable}"
        kind = st.segmented_control("In", kinds, default=WEIGHTS, key=key, **kept)
        # Nor have its layers names that a campaign knows; its tensors have.
        here = LAYER if state.measurable else TENSOR
        where = st.segmented_control(
            "Where", (EVERYWHERE, here), default=EVERYWHERE, key=f"faults-where-{here}", **kept
        )
        if st.button("Flip", icon=":material/casino:", type="primary", key="faults-flip", shortcut="Alt+F"):
            _flip(state, pixels, int(count or 1), KINDS[kind or WEIGHTS], where == here)


def _flip(state: FaultsState, pixels: np.ndarray, count: int, kind: str, here: bool) -> None:
    from core.faults import CampaignSettings
    from core.faults.view import random_faults

    place = (state.layer.name if state.measurable else state.tensor) if here else None
    settings = CampaignSettings(count, kind=kind, form=state.form, tensor=place)
    state.draws += 1
    try:
        faults = heavy_work("Flipping …", lambda: random_faults(state.module, pixels, settings, state.draws))
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    state.toggle(*faults)
    weights = [fault for fault in faults if fault.kind == "weight"]
    if weights:
        state.look_at(weights[0].tensor, weights[0].index)
    st.rerun()


def draw_undo(state: FaultsState) -> None:
    """The ways back: the last flip, or all."""
    st.markdown(f"**{counted_flips(len(state.flips))}**" if state.flips else "**No bit is flipped**")
    with st.container(horizontal=True):
        off = not state.flips
        st.button("Undo", icon=":material/undo:", key="faults-undo", on_click=_undo, args=(state,), disabled=off)
        how = {"on_click": state.flips.clear, "disabled": off, "shortcut": "Alt+U"}
        st.button("Undo all", icon=":material/restart_alt:", key="faults-undo-all", **how)


def _undo(state: FaultsState) -> None:
    if state.flips:
        state.flips.pop()


def draw_list(state: FaultsState) -> None:
    """Every flip with its value before and after, newest first."""
    if not state.flips:
        return
    st.subheader("What is flipped", anchor=False)
    rows = [_row(state, fault) for fault in reversed(state.flips[-SHOWN:])]
    st.table(rows, hide_index=True)
    if len(state.flips) > SHOWN:
        st.caption(f"The last {SHOWN} of {len(state.flips):,}.")


def _row(state: FaultsState, fault: Fault) -> dict[str, str]:
    from core.faults import FORMATS
    from core.faults.view import stored_value

    row = {"Where": plain(fault_text(fault)), "Field": FORMATS[fault.form].field(fault.bit)}
    if fault.kind == "activation":
        return row | {"Value": "another for each scan"}
    others = [f.bit for f in state.flips if (f.kind, f.tensor, f.index) == ("weight", fault.tensor, fault.index)]
    place = (state.module, fault.tensor, fault.index, fault.form)
    before, after = stored_value(*place), stored_value(*place, others)
    return row | {"Value": f"{value_text(before)} → {value_text(after)}"}
