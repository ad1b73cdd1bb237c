"""What the detector's MAE attends to: raw heads by layer, and rollout through all layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.experts.pictures import FIRST_OPACITY, draw_maps
from pages.experts.state import CLEAN, Attention, ExpertsState
from pages.shared.runtime import heavy_work
from pages.shared.words import plain

if TYPE_CHECKING:
    pass

RAW, ROLLOUT = "Raw heads", "Rollout"
MEAN = "Mean of the heads"
CLASS_TOKEN = (
    "The class token is one more input beside the patches, in which the network gathers what it has seen of all."
)
KINDS = (
    "Raw heads show one layer as it is; rollout multiplies all layers, and so follows what reaches the class token "
    "from the patches themselves."
)
LAYERS = "The network looks at the patches in so many rounds, one after another; the last is what it ends with."
HEADS = "In every layer several heads look at the same time, each for something of its own."


def draw_attention(state: ExpertsState) -> None:
    """Layer and head, or rollout, and the maps."""
    st.header("What the MAE attends to", anchor=False)
    st.markdown(
        "The masked autoencoder behind the detector is a vision transformer: this is what its **class token** takes "
        "from each patch. It was trained to fill in patches, not to tell classes apart.",
        help=CLASS_TOKEN,
    )
    if state.models.mae is None:
        st.info(plain(state.models.lacks or ""), icon=":material/info:")
        return
    known = _attention(state)
    raw = known[CLEAN].raw
    how = {"required": True, "key": "attention-kind", "persist_state": "session"}
    kind = st.segmented_control("Attention", (RAW, ROLLOUT), default=RAW, help=KINDS, **how)
    grid = st.grid(3, min_column_width=230)
    layer = head = 0
    if kind == RAW:
        with grid.cell():
            how = {"key": "attention-layer", "persist_state": "session"}
            layer = st.slider("Layer", 1, len(raw), len(raw), help=LAYERS, **how) - 1
        with grid.cell():
            names = [MEAN, *(f"Head {place}" for place in range(1, len(raw[0])))]
            how = {"format_func": names.__getitem__, "key": "attention-head", "persist_state": "session"}
            head = st.selectbox("Head", range(len(names)), help=HEADS, **how)
    with grid.cell():
        how = {"format": "%d %%", "key": "attention-opacity", "persist_state": "session"}
        opacity = st.slider("Opacity of the attention", 0, 100, FIRST_OPACITY, 5, **how)
    maps = {stage: made.rollout if kind == ROLLOUT else made.raw[layer][head] for stage, made in known.items()}
    draw_maps(state, maps, opacity / 100, "of the class token’s attention, a patch", (kind or RAW).lower())
    if kind == ROLLOUT:
        st.caption(
            "Rollout multiplies the attention of all layers, each with its residual connection (Abnar & Zuidema 2020)."
        )


def _attention(state: ExpertsState) -> dict[str, Attention]:
    """Stage → maps; computed once."""
    missing = [stage for stage in state.stages if stage not in state.attention]
    if missing:
        made = heavy_work(
            "Asking the MAE what it attends to …", lambda: {stage: _maps(state, stage) for stage in missing}
        )
        state.attention.update(made)
    return {stage: state.attention[stage] for stage in state.stages}


def _maps(state: ExpertsState, stage: str) -> Attention:
    from core.explanation.attention import head_map, mae_attention, rollout_map

    layers = mae_attention(state.stages[stage].pixels, state.models.mae)
    raw = tuple(tuple(head_map(layer, head) for head in (None, *range(len(layer)))) for layer in layers)
    return Attention(raw, rollout_map(layers))
