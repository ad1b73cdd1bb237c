"""The way from a layer to one of its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.state import FaultsState
from pages.faults.words import layer_title, short_tensor

if TYPE_CHECKING:
    from core.faults.view import Layer


def enter(state: FaultsState, layer: Layer) -> None:
    """Look at a layer's first number."""
    state.look_at(next(iter(layer.tensors)))


def draw_place(state: FaultsState, shown: list[Layer], layer: Layer) -> None:
    """Ask for the layer, the tensor in it, and the number in that."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        _draw_layer(state, shown, layer)
        _draw_tensor(state, layer)
        _draw_number(state, layer)


def _draw_layer(state: FaultsState, shown: list[Layer], now: Layer) -> None:
    # The state is the truth and the lists mirror it. They begin empty, as a browser that draws one anew in between
    # would otherwise choose its first option by itself.
    key = f"faults-layer-{state.bundle}-{state.network}-{now.part}"
    names = {layer.name: layer for layer in shown}
    st.session_state[key] = now.name
    st.selectbox(
        "Layer", list(names), None, format_func=lambda name: layer_title(names[name]), key=key, width=130,
        required=True, on_change=lambda: _layer_chosen(state, names, st.session_state[key]),
    )  # fmt: skip


def _layer_chosen(state: FaultsState, names: dict[str, Layer], chosen: str | None) -> None:
    if chosen is not None:
        enter(state, names[chosen])


def _draw_tensor(state: FaultsState, layer: Layer) -> None:
    key = f"faults-tensor-{state.bundle}-{state.network}-{layer.name}"
    st.session_state[key] = state.tensor
    st.selectbox(
        "Tensor", list(layer.tensors), None, format_func=lambda name: short_tensor(layer, name), key=key, width=250,
        required=True, on_change=lambda: _tensor_chosen(state, st.session_state[key]),
    )  # fmt: skip


def _tensor_chosen(state: FaultsState, chosen: str | None) -> None:
    if chosen is not None:
        state.look_at(chosen)


def _draw_number(state: FaultsState, layer: Layer) -> None:
    count, key = layer.tensors[state.tensor], f"faults-index-{state.bundle}-{state.network}-{state.tensor}"
    st.session_state[key] = state.index
    st.number_input(
        f"Number, 0 to {count - 1:,}", 0, count - 1, key=key, width=165,
        on_change=lambda: state.look_at(state.tensor, int(st.session_state[key] or 0)),
    )  # fmt: skip
    st.button("Random", icon=":material/casino:", key="faults-random", on_click=_random, args=(state, count))
    st.button("Largest", icon=":material/trending_up:", key="faults-largest", on_click=_largest, args=(state,))


def _random(state: FaultsState, count: int) -> None:
    from core.faults.view import random_place

    state.draws += 1
    state.look_at(state.tensor, random_place(count, state.draws))


def _largest(state: FaultsState) -> None:
    from core.faults.view import largest_weight

    state.look_at(state.tensor, largest_weight(state.module, state.tensor))
