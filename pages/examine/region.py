"""The region of interest: where to take it from, and what purification did there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.regions import keep_outline, open_outlines, region_here, region_state
from pages.shared.regions.table import draw_region_fidelity
from pages.shared.runtime import bundle, heavy_work
from pages.shared.session import current_session
from pages.shared.uploads import refusal

if TYPE_CHECKING:
    import numpy as np

    from core import Examination, Scan
    from pages.shared.session import Session

HOW = (
    "Draw an **ellipse** or a **polygon** on a slice in the viewer above, one a slice. What purification did there is "
    "then said against elsewhere, here, on the Purify page and in an audit; and beside the answer stands how much of "
    "it rests on the region."
)
OWN = (
    "The model’s own region is where covering the scan costs its answer at least half of what it costs at the worst "
    "place (occlusion, Zeiler and Fergus 2014)."
)
FILES = (
    "A DICOM SEG, an RTSTRUCT or a NIfTI mask that was made on this scan. It is laid on the scan by its place in the "
    "patient; one of another scan is refused. The file stays in this server's memory and is written nowhere."
)
UNPURIFIED = (
    "The Purify page purifies any scan that has an answer, and says under “What changed” what that does to the region."
)


def draw_sources(session: Session, scan: Scan, exam: Examination) -> None:
    """How to get a region."""
    with st.expander("Region of interest", icon=":material/highlight_alt:"):
        st.markdown(HOW)
        if st.button("Take the model’s own region", icon=":material/target:", disabled=exam.undefended is None):
            _take_own(session, exam)
            st.rerun()
        st.caption(OWN)
        _draw_file(session, scan)


def _draw_file(session: Session, scan: Scan) -> None:
    """A file that outlines something, and which of its outlines."""
    state, key = region_state(session), scan.key
    file = st.file_uploader("Take an outline from a file", key=f"outline-{key}", help=FILES)
    if file is not None and file.file_id != state.file_id:
        state.problem = refusal([file])
        if state.problem is None:
            open_outlines(session, file.getbuffer(), file.name)
        state.file_id = file.file_id
        st.rerun()
    if len(state.outlines) > 1:
        numbers = [f"Outline {outline.number}" for outline in state.outlines]
        # The state is the truth and the widget mirrors it: what a widget says is lost where another page is drawn.
        st.session_state[f"outline-of-{key}"] = state.outline
        st.selectbox(
            "Which outline of the file", range(len(numbers)), None, format_func=numbers.__getitem__, required=True,
            key=f"outline-of-{key}", on_change=_outline_chosen, args=(f"outline-of-{key}",),
        )  # fmt: skip


def _outline_chosen(key: str) -> None:
    chosen = st.session_state[key]
    if chosen is not None:
        keep_outline(region_state(current_session()), chosen)


def _take_own(session: Session, exam: Examination) -> None:
    from core.fidelity.region import RegionError, attributed

    state = region_state(session)
    state.problem = None
    try:
        values = attribution_of(session, exam)
        state.regions[exam.frame_index] = attributed(values, exam.frame.shape, exam.frame_index, exam.spacing)
    except RegionError as error:
        state.problem = str(error)


def attribution_of(session: Session, exam: Examination) -> np.ndarray:
    """What the decision rests on, (R, R), not negative; asked once."""
    from core.explanation.attributions import attribution

    state, choices = region_state(session), session.choices()
    if state.attribution is None or state.attribution[0] != choices:
        answer = exam.prediction or exam.undefended
        assert answer
        pixels, network = exam.decided_on, bundle(exam.bundle).classifiers[answer.classifier]
        values = heavy_work("Asking the classifier where it looks …", lambda: attribution(pixels, network, "occlusion"))
        state.attribution = choices, values.clip(min=0)
    return state.attribution[1]


def _why_unpurified(exam: Examination) -> str:
    if exam.detection is None or exam.refused:
        return ""
    if exam.left_alone:
        return ": under the hardened policy the classifier is given every scan as it is"
    return ", as the scan was not flagged" + (" and not altered" if exam.detection.asks_altered else "")


def draw_region(session: Session, scan: Scan, exam: Examination, before: Examination | None) -> None:
    """What is known of the region on the slice that is examined; of a region elsewhere, where it is."""
    region, state = region_here(session), region_state(session)
    if region is None:
        if state.regions:
            first, last = min(state.regions) + 1, max(state.regions) + 1
            where = f"slice {first}" if first == last else f"{len(state.regions)} slices from {first} to {last}"
            st.markdown(f"There is no region on this slice, but on {where}. Examine that slice to read of it.")
        return
    if exam.purification is None:
        st.markdown(f"**Nothing was purified**{_why_unpurified(exam)}. {UNPURIFIED}")
        st.page_link("pages/purify/page.py", label="Purify this scan", icon=":material/healing:")
    else:
        clean, given = before is not None, before or exam
        draw_region_fidelity(
            session, region, given.pixels, exam.purification.estimate, (*session.choices(), clean), clean
        )
