"""Whether the maps lie on the lesion: an outline that the visitor draws, as no scan brings one along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.words import percent

if TYPE_CHECKING:
    import numpy as np

    from pages.experts.state import ExpertsState


ENERGY = "Energy inside is the share of everything coloured in the map that lies within the circle."


def draw_outline(state: ExpertsState) -> np.ndarray | None:
    """Ask for a circle around the lesion; (H, W) bool at the bundle's resolution, None where there is none."""
    from core.fidelity.outline import circle

    st.markdown("There is **no outline** of a lesion for this scan, so nothing says by itself whether they look at it.")
    if not st.toggle("Mark the lesion with a circle", key="outline-on", persist_state="session"):
        return None
    grid = st.grid(3, min_column_width=200)
    kept = {"persist_state": "session", "format": "%d %%"}
    with grid.cell():
        across = st.slider("Centre, from the left", 0, 100, 50, key="outline-across", **kept)
    with grid.cell():
        down = st.slider("Centre, from the top", 0, 100, 50, key="outline-down", **kept)
    with grid.cell():
        radius = st.slider("Radius", 2, 40, 10, key="outline-radius", **kept)
    return circle(state.models.resolution, across / 100, down / 100, radius / 100)


def draw_agreement(maps: Mapping[str, np.ndarray], outline: np.ndarray | None) -> None:
    """Pointing game and energy within the circle, a row a stage."""
    from core.explanation.outline_agreement import outline_agreement

    if outline is None:
        return
    rows = []
    for stage, values in maps.items():
        made = outline_agreement(values, outline)
        rows.append(
            {
                "Scan": stage,
                "Pointing game: is the strongest place inside?": "yes" if made.hit else "no",
                "Energy inside": percent(made.energy),
                "A map that looks everywhere alike": percent(made.expected),
            }
        )
    st.table(rows, hide_index=True)
    text = "The circle is yours, and no reader’s outline: the figures say how far the map agrees with you."
    st.caption(text, help=ENERGY)
