"""What the detector saw of one scan: each mask with what it hid, what was predicted there, and how far off that was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.detect.record import score_text
from pages.shared.examinations import answer_of, reliability_of
from pages.shared.pictures import draw_added, draw_legend
from pages.shared.visit.stage import say
from pages.shared.words import names_of, number, plain, score_words, standing

if TYPE_CHECKING:
    from core import Bundle, Detection, Examination, Scan
    from core.evaluation.reliability import Reliability

GREY = 0.5
PARTS = {2: ("a half", "both"), 4: ("a quarter", "the four")}
OPACITY = 0.85


def draw_evidence(
    exam: Examination,
    scan: Scan,
    bundle: Bundle,
    draw_among: Callable[[Detection], None] | None,
    before: Examination | None = None,
) -> None:
    """The verdict, where the scan lies among those recorded, which `draw_among` draws if any are, the maps, and masks.

    before: the scan before it was attacked, where that is known.
    """
    if exam.refused:
        say(plain(exam.refused))
        record = " What the detector measured is shown for the record." if exam.detection else ""
        st.error(f"{plain(exam.refused)}{record}", icon=":material/error:")
    if exam.detection is None:
        return
    _draw_scores(exam.detection, reliability_of(bundle, answer_of(exam).classifier) if draw_among else None)
    if draw_among:
        st.subheader("Among the recorded scans", anchor=False)
        draw_among(exam.detection)
    st.subheader("Over the scan", anchor=False)
    _draw_maps(exam, exam.detection, scan, before)
    st.subheader("Mask by mask", anchor=False)
    part, count = PARTS.get(bundle.mask_count, ("a part", "the"))
    st.markdown(
        f"Each mask hides {part} of the patches, and each patch is hidden exactly once. The network predicts what it "
        f"does not see; {count} errors together are the error map above."
    )
    _draw_masks(exam, exam.detection, scan, bundle)


def verdict(detection: Detection) -> str:
    """Whether the scan is flagged and, where the bundle asks that, altered, and by which scores."""
    flagged = f"flagged:** {names_of(detection.flagged_by)} above the threshold."
    if detection.altered is None:
        return f"**This scan is {flagged if detection.flagged else 'not flagged:** no score is above its threshold.'}"
    altered = f"altered:** {names_of(detection.altered_by)} above the threshold."
    altered = altered if detection.altered else "not altered:** nothing was found to be added."
    flagged = flagged if detection.flagged else "not flagged:** the answer doesn’t hang on details too small to see."
    return f"**This scan is {altered} **It is {flagged}"


def _draw_scores(detection: Detection, known: Reliability | None) -> None:
    said, blind = verdict(detection), known.blind if known else frozenset[str]()
    if not say(said):
        st.markdown(said)
    grid = st.grid(len(detection.scores), min_column_width=220)
    for name in sorted(detection.scores, key=lambda name: name in blind or name not in detection.thresholds):
        with grid.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"**{score_words(name).name}**")
            st.subheader(score_text(detection.scores[name]), anchor=False)
            if name in detection.flagged_by:
                st.badge("Above: alarm", icon=":material/warning:", color="orange")
            elif name in detection.altered_by:
                st.badge("Above: altered", icon=":material/blur_on:", color="orange")
            elif name in blind:
                st.badge("Doesn’t tell attacks", icon=":material/visibility_off:", color="gray")
            elif name not in detection.thresholds:
                st.badge("Decides nothing", icon=":material/visibility_off:", color="gray")
            else:
                st.badge("Below its threshold", icon=":material/check_circle:", color="green")
            limit = detection.thresholds.get(name)
            cut = "No threshold" if limit is None else f"Threshold {number(limit)}"
            st.markdown(f"{cut}; {standing(detection.percentiles[name], known.count)}." if known else f"{cut}.")


def _draw_maps(exam: Examination, detection: Detection, scan: Scan, before: Examination | None) -> None:
    from core.explanation import overlays

    grid = st.grid(3, min_column_width=140)
    grid.image(
        overlays.scan_png(exam.frame, scan.spacing), "The scan", "stretch", output_format="PNG", alt=f"Scan {scan.name}"
    )
    maps = (
        ("Reconstruction error", detection.error_map, "grey levels"),
        ("Attention variation", detection.attention_map, "moved per patch"),
    )
    for title, values, unit in maps:
        limit = overlays.map_limit(values)
        with grid.cell():
            picture = overlays.overlay_png(exam.frame, values, limit, OPACITY, scan.spacing)
            st.image(
                picture, title, "stretch", output_format="PNG", alt=f"Scan {scan.name} with its {title.lower()} over it"
            )
            draw_legend("0", f"{number(limit)} {unit}", signed=False)
    st.caption(
        "Bright in the first map: the network could not predict the place from what surrounds it. Bright in the "
        "second: its attention moves when the scan is lightly denoised. Each map has its own scale, so that a clean "
        "scan has bright places, too; the decision rests on the scores above."
    )
    draw_added({"This scan": exam} if before is None else {"Original": before, "Attacked": exam}, scan)


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
                st.image(
                    picture,
                    title,
                    "stretch",
                    output_format="PNG",
                    alt=f"Mask {index} of scan {scan.name}: {title.lower()}",
                )
    st.caption(
        "Seen: hidden patches are grey. Predicted: the prediction fills the hidden patches, the rest is the scan."
    )
