"""What else there is to the scan that is open: other series, other volumes, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.session import Session, current_session, forget_problem
from pages.shared.uploads.studies import StudyState, list_study, study_state
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core import Scan
    from core.scans import Series

# More of them scroll, so that the scan stays in sight.
MOST_CARDS, CARDS_HEIGHT = 4, 400
THUMBNAIL_WIDTH = 96


def draw_study(session: Session, scan: Scan) -> None:
    """The pickers of series and volume, where there are several, and in one line what was left out."""
    # An attacked copy is none of them: what it was made of is.
    state, shown = study_state(session), session.origin or scan
    if state and shown.series_count > 1:
        _draw_series(state, shown)
    if state and shown.volume_count > 1:
        _draw_volumes(shown)
    if shown.left_out:
        st.caption(f":material/info: {plain(' '.join(shown.left_out))}")


def _draw_series(state: StudyState, shown: Scan) -> None:
    found = list_study(state)
    if not found:
        st.caption(f":material/info: {shown.series_count} series are here. What they are could not be found out.")
        return
    many = len(found) > MOST_CARDS
    st.markdown(f"**{len(found)} series in this study**")
    with st.container(height=CARDS_HEIGHT if many else "content", border=many):
        grid = st.grid(min_column_width=330)
        for index, series in enumerate(found):
            with grid.container(border=True, horizontal=True, vertical_alignment="center", height="stretch"):
                _draw_card(index, series, index == shown.series_index)


def _draw_card(index: int, series: Series, shown: bool) -> None:
    about = heading(series.description)
    if series.thumbnail is not None:
        st.image(series.thumbnail, width=THUMBNAIL_WIDTH, output_format="PNG", alt=f"A middle slice: {about}")
    with st.container(gap="xsmall", width="stretch"):
        st.markdown(f"**{plain(about)}**")
        st.caption(plain(details(series)))
        if shown:
            st.badge("Shown", icon=":material/check:", color="green")
        else:
            st.button(f"Open series {index + 1}", key=f"series-{index}", on_click=_choose, args=(index, 0))


def details(series: Series) -> str:
    """What its description doesn't say: the sequence, or that nobody knows it; millimetres of columns, rows, slices."""
    parts = [series.sequence or "sequence not stated"]
    if series.plane is None:
        parts.append("plane not stated")
    if series.spacing is None:
        return " · ".join([*parts, "spacing not stated"])
    between, rows, columns = series.spacing
    sides = [columns, rows, between] if series.slices > 1 else [columns, rows]
    return " · ".join([*parts, " × ".join(f"{side:.3g}" for side in sides) + " mm"])


def _draw_volumes(shown: Scan) -> None:
    count = shown.volume_count
    # The state is the truth and the widget mirrors it: a volume that can't be opened isn't chosen.
    st.session_state["volume"] = shown.volume
    st.selectbox(
        "Volume",
        range(count),
        None,
        key="volume",
        required=True,
        format_func=lambda volume: f"Volume {volume + 1} of {count}",
        help="The slices were taken several times: with several echoes or diffusion weightings, or at several times.",
        on_change=_volume_chosen,
        width=300,
    )


def _volume_chosen() -> None:
    scan, chosen = current_session().target()[0], st.session_state["volume"]
    if scan and chosen is not None:
        _choose(scan.series_index, chosen)


def _choose(series: int, volume: int) -> None:
    session = current_session()
    if state := study_state(session):
        # The last choice counts.
        state.wanted, session.wanted = (series, volume), None
    forget_problem()
