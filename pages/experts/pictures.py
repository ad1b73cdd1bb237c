"""Maps over the scan, a picture a stage: attributions and attention alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.experts.opinions import title
from pages.shared import pictures
from pages.shared.visit.stage import staged
from pages.shared.words import number

if TYPE_CHECKING:
    import numpy as np

    from pages.experts.state import ExpertsState

FIRST_OPACITY = 80
LOG_ODDS = (
    "Log odds are the logarithm of how many times likelier one answer is than the other: "
    "0 is even, 2.2 is nine to one, 4.6 is ninety-nine to one."
)


def draw_maps(
    state: ExpertsState,
    maps: Mapping[str, np.ndarray],
    opacity: float,
    unit: str,
    whose: str,
    outline: np.ndarray | None = None,
) -> None:
    """A map over each stage, each with colours that end at its own largest values: the question is where they are."""
    from core.explanation import overlays
    from core.fidelity.outline import ringed

    about = LOG_ODDS if "log odds" in unit else None
    with staged():
        grid = st.grid(3, min_column_width=230, gap="medium")
    for stage, values in maps.items():
        limit, name, pixels = overlays.map_limit(values), title(state, stage), state.stages[stage].pixels
        if outline is not None:
            pixels, values = ringed(pixels, values, outline)
        frame = overlays.at_native(pixels, state.before.frame.shape, state.scan.spacing)
        picture = overlays.overlay_png(frame, values, limit, opacity, state.scan.spacing)
        with grid.cell():
            st.subheader(name, anchor=False)
            st.image(
                picture,
                width="stretch",
                output_format="PNG",
                alt=f"Scan {state.scan.name}. {name}, with the map of {whose} over it",
            )
            st.caption(f"The colours end at {number(limit)} {unit}.", help=about)
    pictures.draw_legend("0", "the end that stands below each picture", signed=False)
