"""The scan in the viewer, with a map over the slice that is examined."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from pages.examine.region import attribution_of
from pages.examine.series import CHECK_SECONDS, draw_found, series_state, strip_of
from pages.shared.regions import keep_drawn, region_state
from pages.shared.session import Session, forget_problem
from pages.shared.settings.scan import choose_preset, choose_window
from pages.shared.viewer import Overlay, Wish, draw_viewer, prepare_viewer
from pages.shared.words import plain

if TYPE_CHECKING:
    import numpy as np

    from core import Bundle, Examination, Scan

SCAN, ERROR, ATTENTION, ATTRIBUTION = "Scan", "Error map", "Attention map", "Attribution"
ADDED = "What was added"
UNITS = {
    ADDED: "grey levels added, beyond 1/255 (0 black, 1 white)",
    ERROR: "grey levels (0 black, 1 white)",
    ATTENTION: "attention moved per patch (Frobenius norm)",
    ATTRIBUTION: "log odds of the answer lost where covered",
}


def draw_scan(session: Session, scan: Scan, known: Examination | None, models: Bundle) -> bool:
    """The viewer and what lies over it; whether a map was chosen that only the examination will give."""
    place = st.container()
    offered = [SCAN, ATTRIBUTION] if models.lacks_for(session.classifier) else [SCAN, *UNITS]
    if not _asks_altered(session, models):
        offered = [name for name in offered if name != ADDED]
    chosen = st.segmented_control("Show", offered, default=SCAN, required=True, key="overlay")
    overlay = _overlay(session, scan, chosen, known) if known else None
    if known and chosen != SCAN and not overlay:
        st.caption("This slice has no answer, and so no such map.")
    state, choices = series_state(session), session.choices()
    regions = dict(region_state(session).regions)
    outlines = {frame: region.borders for frame, region in regions.items()}
    shown = prepare_viewer(scan, session.frame, session.window, overlay, outlines)

    def draw() -> None:
        if session.choices() != choices or region_state(session).regions != regions:
            st.rerun()  # another slice or window was asked for, or a region was drawn
        if problem := region_state(session).problem:
            st.error(plain(problem), icon=":material/error:")
        strip = strip_of(state, scan, models.classes)
        draw_viewer(shown, partial(_wished, session), strip, partial(keep_drawn, session))
        if scan.frame_count > 1:
            draw_found(session, state, scan, models.classes)
        if running and state and not state.running:
            st.rerun()

    running = state is not None and state.running
    with place:
        st.fragment(draw, run_every=CHECK_SECONDS if running else None)()
    return chosen != SCAN and known is None


def _overlay(session: Session, scan: Scan, chosen: str, exam: Examination) -> Overlay | None:
    """The map that was chosen, where there is one."""
    from core.detection.scores import ADDED_LIMIT
    from core.explanation import overlays

    values = _values(session, chosen, exam)
    if values is None:
        return None
    limit = ADDED_LIMIT if chosen == ADDED else overlays.map_limit(values)
    strengths = overlays.strength_png(values, limit, scan.values.shape[1:3], scan.spacing)
    return Overlay(strengths, limit, UNITS[chosen], session.frame)


def _values(session: Session, chosen: str, exam: Examination) -> np.ndarray | None:
    if chosen == ATTRIBUTION:
        return attribution_of(session, exam) if exam.undefended else None
    if chosen == SCAN or exam.detection is None:
        return None
    maps = {ERROR: exam.detection.error_map, ATTENTION: exam.detection.attention_map, ADDED: exam.detection.added_map}
    return maps[chosen]


def _asks_altered(session: Session, models: Bundle) -> bool:
    limits = models.limits.get(models.classifier_name(session.classifier))
    return limits is not None and bool(limits.altered)


def _wished(session: Session, scan: Scan, wish: Wish) -> None:
    if scan is not session.scan:  # the click came late
        return
    if wish.window and not choose_preset(session, scan, *wish.window, wish.bent):
        choose_window(session, scan, *wish.window)
    session.frame = wish.frame
    forget_problem()
