"""What the detector saw of one scan: each mask with what it hid, what was predicted there, and how far off that was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.detect.record import score_text
from pages.shared.pictures import draw_legend
from pages.shared.words import number, plain, score_words, standing

if TYPE_CHECKING:
    from core import Bundle, Detection, Examination, Scan

GREY = 0.5
OPACITY = 0.85


def draw_evidence(exam: Examination, scan: Scan, bundle: Bundle) -> None:
    """The verdict, the combined maps, and the masks."""
    if exam.refused:
        record = " What the detector measured is shown for the record." if exam.detection else ""
        st.error(f"{plain(exam.refused)}{record}", icon=":material/error:")
    if exam.detection is None:
        return
    calibration = bundle.calibrations[exam.undefended.classifier]
    _draw_scores(exam.detection, len(calibration.labels))
    st.header("Over the scan", anchor=False)
    _draw_maps(exam, exam.detection, scan)
    st.header("Mask by mask", anchor=False)
    st.markdown(
        "Each mask hides a quarter of the patches, and each patch is hidden exactly once. The network predicts what it "
        "does not see; the four errors together are the error map above."
    )
    _draw_masks(exam, exam.detection, scan, bundle)


def _draw_scores(detection: Detection, count: int) -> None:
    if detection.flagged:
        names = " and ".join(score_words(name).name.lower() for name in detection.flagged_by)
        st.markdown(f"**This scan is flagged:** {names} above the threshold.")
    else:
        st.markdown("**This scan is not flagged:** no score is above its threshold.")
    grid = st.grid(len(detection.scores), min_column_width=220)
    for name, score in detection.scores.items():
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"**{score_words(name).name}**")
            st.subheader(score_text(score), anchor=False)
            if name in detection.flagged_by:
                st.badge("Above its threshold", icon=":material/warning:", color="orange")
            else:
                st.badge("Below its threshold", icon=":material/check_circle:", color="green")
            st.markdown(
                f"Threshold {number(detection.thresholds[name])}; {standing(detection.percentiles[name], count)}."
            )


def _draw_maps(exam: Examination, detection: Detection, scan: Scan) -> None:
    from core.explanation import overlays

    grid = st.grid(3, min_column_width=140)
    grid.image(overlays.scan_png(exam.frame, scan.spacing), "The scan", "stretch", alt=f"Scan {scan.name}")
    maps = (
        ("Reconstruction error", detection.error_map, "grey levels"),
        ("Attention variation", detection.attention_map, "moved per patch"),
    )
    for title, values, unit in maps:
        limit = overlays.map_limit(values)
        with grid.cell():
            picture = overlays.overlay_png(exam.frame, values, limit, OPACITY, scan.spacing)
            st.image(picture, title, "stretch", alt=f"Scan {scan.name} with its {title.lower()} over it")
            draw_legend("0", f"{number(limit)} {unit}", signed=False)
    st.caption(
        "Bright in the first map: the network could not predict the place from what surrounds it. Bright in the "
        "second: its attention moves when the scan is lightly denoised. Each map has its own scale, so that a clean "
        "scan has bright places, too; the decision rests on the scores above."
    )


def _draw_masks(exam: Examination, detection: Detection, scan: Scan, bundle: Bundle) -> None:
    from core.evaluation.operating_points import hidden_pixels
    from core.explanation import overlays

    limit, shape = overlays.map_limit(detection.error_map), exam.frame.shape
    masks = hidden_pixels(bundle)
    grid = st.grid(len(masks), min_column_width=150)
    for index, hidden in enumerate(masks, 1):
        seen = np.where(hidden, GREY, exam.pixels)
        predicted = np.where(hidden, detection.reconstruction, exam.pixels)
        error = overlays.overlay_png(exam.frame, detection.error_map * hidden, limit, OPACITY, scan.spacing)
        with grid.container(border=True, gap="small"):
            st.markdown(f"**Mask {index}**")
            for title, picture in (
                ("Seen", overlays.model_png(seen, shape, scan.spacing)),
                ("Predicted", overlays.model_png(predicted, shape, scan.spacing)),
                ("Error", error),
            ):
                st.image(picture, title, "stretch", alt=f"Mask {index} of scan {scan.name}: {title.lower()}")
    st.caption(
        "Seen: hidden patches are grey. Predicted: the prediction fills the hidden patches, the rest is the scan."
    )
