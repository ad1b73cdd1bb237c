"""Pictures of a scan: with a map over it, and what purification changed; and numbers as large as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.charts import COLOURS, theme
from pages.shared.words import number

if TYPE_CHECKING:
    import numpy as np

    from core import Examination, Scan

ADDED_OPACITY = 0.9
GAINS = (1, 2, 5, 10, 20)
# Digits and signs of a bold sans serif face are about so wide, in shares of the type's size.
GLYPH = 0.62
LARGE_WIDTH = 420


def draw_legend(low: str, high: str, signed: bool) -> None:
    """A colour bar with what its two ends stand for."""
    from core.explanation import overlays

    st.image(
        overlays.legend_png(signed), width="stretch", output_format="PNG", alt=f"Colour scale from {low} to {high}"
    )
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

    moved = _draw_difference(before.pixels, exam.pixels, ("Original", "Attacked"), exam, scan, 20)
    most = distance(before.pixels, exam.pixels).linf
    st.markdown(
        f"On average a pixel moved by **{number(255 * moved)}/255**, none by more than **{number(255 * most)}/255**."
    )


def draw_added(exams: Mapping[str, Examination], scan: Scan) -> None:
    """What was added to each of these, title → examination, on one scale for all scans; nothing where nobody asked."""
    from core.detection.scores import ADDED_ANYHOW, ADDED_LIMIT
    from core.explanation import overlays

    asked = {title: exam for title, exam in exams.items() if exam.detection and exam.detection.asks_altered}
    if not asked:
        return
    grid = st.grid(len(asked), min_column_width=230)
    for title, exam in asked.items():
        assert exam.detection
        picture = overlays.overlay_png(exam.frame, exam.detection.added_map, ADDED_LIMIT, ADDED_OPACITY, scan.spacing)
        words = {True: "altered", False: "not altered"}[bool(exam.detection.altered)]
        with grid.cell():
            st.image(
                picture,
                f"{title}: what was added ({words})",
                "stretch",
                output_format="PNG",
                alt=f"Scan {scan.name}. {title}: {words}; what autoencoder and denoiser hold to have been added",
            )
            most = number(255 * (ADDED_ANYHOW + ADDED_LIMIT))
            draw_legend(f"{number(255 * ADDED_ANYHOW)}/255 or less", f"{most}/255 or more added", signed=False)
    st.caption(
        "Bright: autoencoder and denoiser, which don’t know each other, both hold something to be foreign all about "
        "there, be it noise or an attack. The scale is the same for every scan."
    )


def averaged(pixels: np.ndarray) -> str:
    """What to add to the title of a difference of (C, H, W) pixels that is drawn as one map."""
    return ", mean of the colours" if len(pixels) > 1 else ""


def draw_gain(key: str, default: int) -> int:
    """How many times a difference is amplified."""
    return st.segmented_control(
        "Amplify the difference", GAINS, default=default, required=True, format_func="× {}".format, key=key
    )


def draw_large_number(text: str, about: str, room: int = 7) -> None:
    """A text for the back row, as wide as the page allows, which no heading is.

    `room` letters fill its place; `about` is what it is read out as.
    """
    *_, ink = COLOURS[theme()]
    size = LARGE_WIDTH / (GLYPH * max(len(text), room))
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LARGE_WIDTH} {1.1 * size:.0f}" width="{LARGE_WIDTH}" '
        f'height="{1.1 * size:.0f}"><text x="0" y="{0.85 * size:.0f}" fill="{ink}" font-family="sans-serif" '
        f'font-weight="700" font-size="{size:.0f}">{escape(text)}</text></svg>'
    )
    st.image(picture, width="stretch", output_format="PNG", alt=about)


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
        grid.image(
            overlays.model_png(pixels, shape, scan.spacing),
            title,
            "stretch",
            output_format="PNG",
            alt=f"Scan {scan.name}. {title}",
        )
    with grid.cell():
        picture = overlays.residual_png(before, after, limit, shape, scan.spacing)
        title = f"Difference × {gain}{averaged(before)}"
        st.image(picture, title, "stretch", output_format="PNG", alt=f"Difference of the two, {gain} times amplified")
        draw_legend(f"−{number(limit)} darker (blue)", f"brighter (red) +{number(limit)}", signed=True)
    return overlays.mean_change(before, after)
