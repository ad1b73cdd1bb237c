"""The network as a strip of layers, each with how sensitive it was measured to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults import charts
from pages.faults.place import draw_place, enter
from pages.faults.progress import draw_ending, follow
from pages.faults.recorded import open_record
from pages.faults.state import FaultsState
from pages.faults.study import LAYER_FLIPS, LAYERS, UNIT, live_rows, other_form, shown_layers, start_study, study_key
from pages.faults.words import layer_title, part_title
from pages.shared.charts import CONFIG
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.faults.view import Layer
    from pages.shared.session import Session

TRIALS = 10
LIVE, RECORDED = "live", "recorded"


def draw_layers(session: Session, state: FaultsState) -> DeltaGenerator:
    """The part of a mixture, the strip, and the pickers of layer, tensor and number; where progress is to be shown."""
    shown = draw_part(state)
    _draw_strip(state, shown)
    place = st.container()
    with place:
        _draw_measure(session, state)
    draw_place(state, shown, state.layer)
    return place


def draw_part(state: FaultsState) -> list[Layer]:
    """Of a mixture one expert at a time: nine in a row would be a strip of ninety."""
    parts = list(dict.fromkeys(layer.part for layer in state.layers))
    if len(parts) > 1:
        titles = {part: part_title(state.models, state.network, part) for part in parts}
        key = f"faults-part-{state.bundle}-{state.network}"
        st.session_state[key] = state.layer.part
        st.selectbox(
            "Expert", parts, None, format_func=titles.get, key=key, required=True, width=380,
            on_change=lambda: _enter(state, st.session_state[key]),
        )  # fmt: skip
    return shown_layers(state)


def _enter(state: FaultsState, part: str | None) -> None:
    if part is not None:
        enter(state, next(layer for layer in state.layers if layer.part == part))


def _draw_strip(state: FaultsState, shown: list[Layer]) -> None:
    """Every layer as a block, with the share of answers that flips in it changed."""
    now, (rows, source) = state.layer, sensitivity(state)
    hit = [sum(fault.tensor in layer.tensors or fault.tensor == layer.name for fault in state.flips) for layer in shown]
    blocks = [
        charts.Block(layer_title(layer), rows.get(layer.name), layer is now, count) for layer, count in zip(shown, hit)
    ]
    key = f"faults-strip-{state.bundle}-{state.network}-{now.part}-{now.name}"
    told = "; ".join(f"{block.title} {charts.block_text(block)}" for block in blocks)

    def clicked() -> None:
        points = st.session_state[key].selection.points
        if points:
            enter(state, shown[points[0]["point_index"]])

    st.plotly_chart(
        charts.strip(blocks), height=charts.STRIP_HEIGHT, config=CONFIG, key=key, on_select=clicked,
        selection_mode="points", alt=f"The layers in the order that they are run. {told}",
    )  # fmt: skip
    st.caption(_about(state, rows, source))


def _draw_measure(session: Session, state: FaultsState) -> None:
    """The way to measure the strip now, where it hasn't been recorded."""
    if not state.measurable or measuring(state):
        return
    doing = study_key(state, LAYERS)
    draw_ending(state, doing, UNIT)
    _, source = sensitivity(state)
    if source != RECORDED:
        label = "Measure again" if source else "Measure on these scans"
        if st.button(label, icon=":material/play_arrow:", key="faults-measure-strip"):
            start_study(session, state, LAYERS, TRIALS)


def measuring(state: FaultsState) -> bool:
    """Whether the strip is being measured."""
    return state.running and state.doing == study_key(state, LAYERS)


def follow_measure(state: FaultsState, place: DeltaGenerator) -> None:
    """Show how far the strip is, where everything else on the page has been drawn."""
    if measuring(state):
        with place:
            follow(state, "Measuring the layers", UNIT)


def sensitivity(state: FaultsState) -> tuple[dict[str, float], str | None]:
    """Layer → share of answers that a flip in it changed, in [0, 1], measured live or recorded, and by what."""
    if not state.measurable:
        return {}, None
    if rows := live_rows(state, LAYERS):
        return {row.name: row.label_changes for row in rows}, LIVE
    record = open_record(state.models, state.network)
    rows = {row.name: row.label_changes for row in record.rows("layers") if row.level == "stage"}
    names = {layer.name for layer in shown_layers(state)}
    rows = {name: share for name, share in rows.items() if name in names}
    return rows, RECORDED if rows else None


def _about(state: FaultsState, rows: dict[str, float], source: str | None) -> str:
    if not state.measurable:
        return (
            "The autoencoder gives no label, so that no accuracy can be measured for its layers. Click a block to "
            "look into it."
        )
    if source is None:
        return "How sensitive each layer is hasn’t been measured for these weights. Click a block to look into it."
    if source == LIVE:
        study = state.studies[study_key(state, LAYERS)]
        how = f"on {study.n} sample scans, {study.trials} trials a layer, measured now in {study.form}"
    else:
        study = open_record(state.models, state.network).studies["layers"]
        how = f"on {study.n} validation scans, recorded {other_form(state)}".rstrip()
    most = layer_title(max(shown_layers(state), key=lambda layer: rows.get(layer.name, 0.0)))
    return (
        f"Answers that {LAYER_FLIPS} random flips in a layer change, {how}. Most sensitive: **{plain(most)}**. Click a "
        "block to look into it."
    )
