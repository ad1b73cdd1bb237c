"""What was recorded: the trade-off, and what the MAE sees of an attack and along MAE-Pure, on our scans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import charts
from pages.purify.tradeoff import draw_tradeoff
from pages.shared.charts import CONFIG
from pages.shared.empty_states import draw_missing_models
from pages.shared.records import draw_command
from pages.shared.runtime import bundle

if TYPE_CHECKING:
    from core import Bundle
    from pages.shared.session import Session

NAMES = {
    "reconstruction_loss": "Reconstruction loss",
    "encoder": "Attention variation, encoder",
    "decoder": "Attention variation, decoder",
}
NOT_YET = "Not measured with the bundle’s weights of today: what the MAE sees of an attack."
CURVES = (
    ("The MAE, under attack", "eps", "attack", "ε of PGD-40, in 1/255", -1),
    ("The MAE, along MAE-Pure from ε = 8/255", "step", "purification", "step of MAE-Pure", 0),
    ("The MaskDiT, under attack", "eps", "mask_dit", "ε of PGD-40, in 1/255", -1),
)


def draw_recorded(session: Session) -> None:
    """What was measured on the validation scans; it needs no scan of the visitor's."""
    models = bundle(session.bundle)
    if models.lacks:
        draw_missing_models(models)
        return
    draw_tradeoff(models, session.classifier)
    draw_figure(models)


def draw_figure(models: Bundle) -> None:
    """Loss and attention variation against the strength of the attack, and along MAE-Pure."""
    from core.evaluation.tradeoff import entry_of_today

    record = entry_of_today(models, "variation")
    st.header("What the masked networks see", anchor=False)
    if not record:
        st.info(NOT_YET, icon=":material/info:")
        return
    st.markdown(
        "MAE-Pure rests on two claims (its figures 4 and 7): the reconstruction loss of a masked network and the "
        "variation of its attention grow with the attack, and both fall as the scan is purified. Here they are on our "
        "scans."
    )
    halves = st.grid(2, min_column_width=320)
    for name, place, key, axis, at in CURVES:
        points = record.get(key)
        if not points:  # the bundle holds no such network
            continue
        values = {title: [point[field] for point in points] for field, title in NAMES.items()}
        with halves.cell():
            st.subheader(name, anchor=False)
            figure = charts.relative_chart([point[place] for point in points], values, axis, at)
            st.plotly_chart(
                figure, height=charts.HEIGHT + 60, config=CONFIG, key=f"figure-{key}",
                alt=f"{name}: loss and attention variation",
            )  # fmt: skip
    st.caption(
        f"Means over n = {record['n']} validation scans, against the same scans unattacked; the clean scan’s own "
        "reconstruction loss is the point at ε = 0."
    )
    draw_command(record["command"], "the paper’s figure")
