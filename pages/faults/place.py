"""The way from a layer to one of its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.state import FaultBench
from pages.faults.words import layer_title, short_tensor

if TYPE_CHECKING:
    from core.faults.view import Layer


def enter(bench: FaultBench, layer: Layer) -> None:
    """Look at a layer's first number."""
    bench.look_at(next(iter(layer.tensors)))


def draw_place(bench: FaultBench, shown: list[Layer], layer: Layer) -> None:
    """Ask for the layer, the tensor in it, and the number in that."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        _draw_layer(bench, shown, layer)
        _draw_tensor(bench, layer)
        _draw_number(bench, layer)


def _draw_layer(bench: FaultBench, shown: list[Layer], now: Layer) -> None:
    key = f"faults-layer-{bench.bundle}-{bench.network}-{now.part}"
    names = {layer.name: layer for layer in shown}
    st.session_state[key] = now.name
    st.selectbox(
        "Layer", list(names), format_func=lambda name: layer_title(names[name]), key=key, width=130,
        on_change=lambda: enter(bench, names[st.session_state[key]]),
    )  # fmt: skip


def _draw_tensor(bench: FaultBench, layer: Layer) -> None:
    key = f"faults-tensor-{bench.bundle}-{bench.network}-{layer.name}"
    st.session_state[key] = bench.tensor
    st.selectbox(
        "Tensor", list(layer.tensors), format_func=lambda name: short_tensor(layer, name), key=key, width=250,
        on_change=lambda: bench.look_at(st.session_state[key]),
    )  # fmt: skip


def _draw_number(bench: FaultBench, layer: Layer) -> None:
    count, key = layer.tensors[bench.tensor], f"faults-index-{bench.bundle}-{bench.network}-{bench.tensor}"
    st.session_state[key] = bench.index
    st.number_input(
        f"Number, 0 to {count - 1:,}", 0, count - 1, key=key, width=165,
        on_change=lambda: bench.look_at(bench.tensor, int(st.session_state[key] or 0)),
    )  # fmt: skip
    st.button("Random", icon=":material/casino:", key="faults-random", on_click=_random, args=(bench, count))
    st.button("Largest", icon=":material/trending_up:", key="faults-largest", on_click=_largest, args=(bench,))


def _random(bench: FaultBench, count: int) -> None:
    from core.faults.view import random_place

    bench.draws += 1
    bench.look_at(bench.tensor, random_place(count, bench.draws))


def _largest(bench: FaultBench) -> None:
    from core.faults.view import largest_weight

    bench.look_at(bench.tensor, largest_weight(bench.module, bench.tensor))
