"""Pictures of a scan: with a map over it, and what purification changed. Drawn by core, placed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.words import number

if TYPE_CHECKING:
    import numpy as np

    from core import Examination, Scan

OVERLAYS = {"Scan": "", "Error map": "reconstruction error", "Attention map": "attention variation"}
GAINS = (1, 2, 5, 10, 20)


def draw_scan(exam: Examination, scan: Scan) -> None:
    """The frame with an optional map over it, and the legend of that map."""
    from core.explanation import overlays

    detection = exam.detection
    picture = st.container()
    chosen = "Scan"
    if detection:
        chosen = st.segmented_control("Show", list(OVERLAYS), default="Scan", required=True, key="overlay")
    name = f"Scan {scan.name}, slice {exam.frame_index + 1} of {scan.frame_count}"
    if not detection or chosen == "Scan":
        picture.image(overlays.scan_png(exam.frame, scan.spacing), width="stretch", alt=name)
        return
    opacity = st.slider("Opacity of the map", 0, 100, 85, 5, format="%d %%")
    error = chosen == "Error map"
    values = detection.error_map if error else detection.attention_map
    limit = overlays.map_limit(values)
    picture.image(
        overlays.overlay_png(exam.frame, values, limit, opacity / 100, scan.spacing),
        width="stretch",
        alt=f"{name}, with a map of the {OVERLAYS[chosen]} over it",
    )
    unit = "grey levels (0 black, 1 white)" if error else "attention moved per patch (Frobenius norm)"
    with picture:
        draw_legend("0", f"{number(limit)} {unit}", signed=False)


def draw_legend(low: str, high: str, signed: bool) -> None:
    """A colour bar with what its two ends stand for."""
    from core.explanation import overlays

    st.image(overlays.legend_png(signed), width="stretch", alt=f"Colour scale from {low} to {high}")
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.markdown(low, width="content")
        st.markdown(high, width="content")


def draw_purification(exam: Examination, scan: Scan) -> None:
    """Before, estimate and difference, and what to make of them."""
    assert exam.purification
    titles = ("Before: what the classifier was given", "Estimate: what purification made of it")
    moved = _draw_difference(exam.pixels, exam.purification.estimate, titles, exam, scan, 5)
    st.markdown(
        f"Noise was added up to diffusion step **t\\* = {exam.purification.t_star}** and taken away again. On average "
        f"a pixel moved by **{number(255 * moved)}/255**. The estimate is what the diffusion model holds to be "
        "likely: fine detail in it may be made up, and detail of the scan may be missing."
    )


def draw_attack(before: Examination, exam: Examination, scan: Scan) -> None:
    """Original, attacked copy and difference, and how small it is."""
    from core.fidelity.metrics import distance

    moved = draw_change(before, exam, scan)
    most = distance(before.pixels, exam.pixels).linf
    st.markdown(
        f"On average a pixel moved by **{number(255 * moved)}/255**, none by more than **{number(255 * most)}/255**."
    )


def draw_change(before: Examination, exam: Examination, scan: Scan) -> float:
    """Original, attacked copy and their difference; the mean absolute difference, pixel units."""
    return _draw_difference(before.pixels, exam.pixels, ("Original", "Attacked"), exam, scan, 20)


def averaged(pixels: np.ndarray) -> str:
    """What to add to the title of a difference of (C, H, W) pixels that is drawn as one map."""
    return ", mean of the colours" if len(pixels) > 1 else ""


def draw_gain(key: str, default: int) -> int:
    """How many times a difference is amplified."""
    return st.segmented_control(
        "Amplify the difference", GAINS, default=default, required=True, format_func="× {}".format, key=key
    )


def _draw_difference(
    before: np.ndarray, after: np.ndarray, titles: tuple[str, str], exam: Examination, scan: Scan, gain: int
) -> float:
    """Two pictures and their signed difference, each at the same size; the mean absolute difference."""
    from core.explanation import overlays

    shape = exam.frame.shape
    gain = draw_gain(f"gain-{titles[0]}", gain)
    limit = 0.5 / gain
    grid = st.grid(3, min_column_width=230)
    for title, pixels in zip(titles, (before, after)):
        grid.image(overlays.model_png(pixels, shape, scan.spacing), title, "stretch", alt=f"Scan {scan.name}. {title}")
    with grid.cell():
        picture = overlays.residual_png(before, after, limit, shape, scan.spacing)
        title = f"Difference × {gain}{averaged(before)}"
        st.image(picture, title, "stretch", alt=f"Difference of the two, {gain} times amplified")
        draw_legend(f"−{number(limit)} darker (blue)", f"brighter (red) +{number(limit)}", signed=True)
    return overlays.mean_change(before, after)
