"""What the bundle says before and after the damage: the decision, the probabilities, and the error map."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from pages.faults.words import NO_NUMBER
from pages.shared.pictures import draw_large_number, draw_legend
from pages.shared.words import heading, number, percent, plain

if TYPE_CHECKING:
    from core import Bundle, Examination, Prediction, Scan
    from pages.faults.answer import Answer

OPACITY = 0.85
CLEARLY = 0.005


class Said(NamedTuple):
    """A decision in words: title, what stands under it, and the answer behind it where there is one."""

    title: str
    about: str
    answer: Prediction | None


def said(exam: Examination, withheld: bool = False) -> Said:
    """What an examination comes to; an answer without numbers is none."""
    from core.faults.view import finite

    if withheld:
        return Said("No answer", "The guard raised an alarm and holds the answer back.", None)
    if exam.undefended is not None and not finite(exam.undefended):
        return Said(NO_NUMBER, "The classifier answers NaN (not a number), so that no class follows.", None)
    if exam.scope_distance is not None and not np.isfinite(exam.scope_distance):
        return Said(NO_NUMBER, "The autoencoder answers NaN (not a number), so that nothing can be checked.", None)
    if exam.prediction is None:
        return Said("Refused", plain(exam.refused or ""), None)
    if not finite(exam.prediction):
        return Said(NO_NUMBER, "The classifier answers NaN (not a number) on the purified estimate.", None)
    return Said(plain(heading(exam.prediction.label)), _route(exam), exam.prediction)


def _route(exam: Examination) -> str:
    if exam.detection is None:
        return "The classifier’s own answer, undefended."
    found = "Flagged as attacked" if exam.detection.flagged else "Altered"
    if exam.kept_borderline:
        return f"{found}, but borderline: the scan’s own answer stands."
    if exam.left_alone:
        return f"{found}, but the hardened policy purifies nothing: answered on the scan as it is."
    if exam.detection.flagged or exam.detection.altered:
        return f"{found}, and answered on the purified estimate."
    return "Not flagged, answered on the scan as it is."


def draw_now(answer: Answer) -> None:
    """The decision as it is now, in letters for the back row, and whether it is another."""
    before, now = said(answer.before), said(answer.after, answer.withheld)
    st.markdown("**The decision now**")
    st.title(now.title, anchor=False)
    if now.answer:
        text = percent(now.answer.confidence)
        draw_large_number(text, f"Probability of “{now.answer.label}”: {text}", room=9)
    st.markdown(now.about)
    _draw_badge(before, now, answer)


def _draw_badge(before: Said, now: Said, answer: Answer) -> None:
    from core.faults.view import same_answer

    was = f"{before.title}, {percent(before.answer.confidence)}" if before.answer else before.title
    if answer.before is answer.after:
        st.badge("Undamaged network", icon=":material/check_circle:", color="blue")
    elif now.answer and before.answer and same_answer(now.answer, before.answer):
        moved = abs(now.answer.confidence - before.answer.confidence) >= CLEARLY
        st.badge(f"Same answer; was {was}" if moved else "As before", icon=":material/check_circle:", color="green")
    elif now.title == before.title and not now.answer:
        st.badge("As before", icon=":material/check_circle:", color="green")
    else:
        st.badge(f"Was: {was}", icon=":material/swap_horiz:", color="orange")


def draw_sides(answer: Answer, scan: Scan, models: Bundle) -> None:
    """Before and after side by side, in full."""
    st.subheader("Before and after", anchor=False)
    halves = st.grid(2, min_column_width=300, gap="medium")
    limit = _limit(answer.before)
    title = "Now: nothing is flipped" if answer.after is answer.before else "With the damage"
    with halves.container(border=True, height="stretch", key="faults-before"):
        _draw_side("Before the damage", answer.before, False, scan, limit)
    with halves.container(border=True, height="stretch", key="faults-after"):
        _draw_side(title, answer.after, answer.withheld, scan, limit)
    if models.lacks:
        st.caption(f"{plain(models.lacks)}")
    elif answer.before.detection is None and answer.before.refused is None:
        st.caption(
            "This classifier has no thresholds yet: it answers alone, without detection, purification or error map."
        )


def _draw_side(title: str, exam: Examination, withheld: bool, scan: Scan, limit: float | None) -> None:
    told = said(exam, withheld)
    st.markdown(f"**{title}**")
    st.header(f"{told.title} · {percent(told.answer.confidence)}" if told.answer else told.title, anchor=False)
    st.markdown(told.about)
    if exam.undefended and not withheld:
        _draw_probabilities(exam.undefended)
    if limit is not None:
        _draw_error(title, exam, scan, limit)
    else:
        _draw_scan(exam, scan)


def _draw_scan(exam: Examination, scan: Scan) -> None:
    from core.explanation import overlays

    name = f"Scan {scan.name}"
    st.image(overlays.scan_png(exam.frame, scan.spacing), plain(name), 300, output_format="PNG", alt=name)


def _draw_probabilities(answer: Prediction) -> None:
    st.markdown("The classifier’s probabilities, on the scan as it is:")
    for name, share in answer.probabilities.items():
        known = bool(np.isfinite(share))
        text = percent(share) if known else "no number"
        st.progress(min(1.0, max(0.0, share)) if known else 0.0, f"{plain(heading(name))}: **{text}**")


def _limit(before: Examination) -> float | None:
    """Where the colours of both error maps end, as the one before the damage has it; None where there is none."""
    from core.explanation import overlays

    return overlays.map_limit(before.detection.error_map) if before.detection else None


def _draw_error(title: str, exam: Examination, scan: Scan, limit: float) -> None:
    from core.explanation import overlays

    detection = exam.detection
    if detection is None or not np.isfinite(detection.error_map).all():
        st.info("No error map: no number comes out of the autoencoder.", icon=":material/block:")
        return
    mean = float(detection.error_map.mean())
    picture = overlays.overlay_png(exam.frame, detection.error_map, limit, OPACITY, scan.spacing)
    st.image(
        picture,
        f"Error map, mean {number(mean)}",
        "stretch",
        output_format="PNG",
        alt=f"Scan {scan.name}, error map. {title}",
    )
    draw_legend("0", f"{number(limit)} grey levels and more", signed=False)
