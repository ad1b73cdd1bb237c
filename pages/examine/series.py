"""Every slice judged in the background, and the strip that shows what was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.charts import palette
from pages.shared.examinations import models_in_force
from pages.shared.job_status import draw_job_status, draw_stop
from pages.shared.page_state import PageState
from pages.shared.session import current_session, forget_problem
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core import Scan
    from core.defence.series import SliceVerdict
    from pages.shared.session import Session

CHECK_SECONDS = 1.0


@dataclass(kw_only=True)
class SeriesState(PageState):
    """One scan's slices; verdicts: by slice, the latest of each."""

    verdicts: dict[int, SliceVerdict] = field(default_factory=dict)

    def take(self, batch: list[SliceVerdict]) -> None:
        """Note what was found."""
        self.verdicts |= {verdict.frame: verdict for verdict in batch}

    @property
    def ordered(self) -> list[SliceVerdict]:
        """What is known, slice by slice."""
        return [self.verdicts[frame] for frame in sorted(self.verdicts)]

    @property
    def examined(self) -> list[int]:
        """The slices that need no more."""
        return [frame for frame, verdict in self.verdicts.items() if verdict.examined]


def series_state(session: Session) -> SeriesState | None:
    """What is known of the slices of the scan that is open, if anything."""
    return session.current(SeriesState, _choices(session))


def begin_series(session: Session, scan: Scan) -> bool:
    """Judge the slices of a volume unless that is under way, or was stopped; whether it has just begun."""
    state = series_state(session)
    if scan.frame_count == 1 or (state and not state.abandoned):
        return False
    _start(session, scan)
    return True


def _start(session: Session, scan: Scan) -> None:
    from core.defence.series import answer_slices, judge_slices

    state = series_state(session) or session.keep(SeriesState(choices=_choices(session)))
    models = models_in_force(session)
    ways = {"window": session.window, "classifier": session.classifier, "seed": session.seed}
    first = answer_slices(scan, models, known=list(state.verdicts), **ways)
    state.start(chain(first, judge_slices(scan, models, known=state.examined, **ways)), state.take)


def _choices(session: Session) -> tuple[object, ...]:
    key, _, *rest = session.choices()
    return key, *rest


def strip_of(state: SeriesState | None, scan: Scan, classes: tuple[str, ...]) -> dict[str, Any] | None:
    """What the viewer draws under a volume's picture; an empty strip until something is known of every slice.

    It has its place from the first moment: a page that grows under the pointer moves what is about to be clicked.
    """
    if scan.frame_count == 1:
        return None
    known = state.ordered if state and len(state.verdicts) == scan.frame_count else []
    colours, ink = palette()
    return {
        "slices": [_drawn(verdict) for verdict in known],
        "colours": {name: colours[place % len(colours)] for place, name in enumerate(classes)},
        # The first class is what most slices show: it stays low, so that the others stand out.
        "heights": {name: 1.0 if place else 0.35 for place, name in enumerate(classes)},
        "flag": ink,
        "summary": _summary(known, classes) if known else "Nothing is known of the slices yet.",
    }


def _drawn(verdict: SliceVerdict) -> dict[str, Any]:
    """Of why a slice was refused the strip needs but the fact."""
    return asdict(verdict) | {"refused": verdict.refused is not None}


def _summary(known: list[SliceVerdict], classes: tuple[str, ...]) -> str:
    from core.defence.series import summarise

    return summarise(known, classes)


def draw_found(session: Session, state: SeriesState | None, scan: Scan, classes: tuple[str, ...]) -> None:
    """The summary of all slices of a volume, or how far it is."""
    count = scan.frame_count
    if state is None:
        st.progress(0.0, f"0 of {count} slices examined")
        st.button("Stop", icon=":material/stop:", type="primary", key="series-not-begun", disabled=True)
        return
    known = len(state.examined)
    if known == count:
        st.markdown(f"**All {count} slices:** {plain(heading(_summary(state.ordered, classes)))}.")
        _offer_slice(session.frame, state, classes)
        return
    if state.running:
        waits = f", {state.begun.ahead} before it in the queue" if state.begun.ahead else ""
        st.progress(known / count, f"{known} of {count} slices examined{waits}")
        draw_stop(state, "series-stop")
        return
    draw_job_status(state, f" after {known} of {count} slices", then="What was found stays.")
    st.button("Examine the other slices", icon=":material/play_arrow:", on_click=_go_on)


def _go_on() -> None:
    session = current_session()
    if session.scan:
        _start(session, session.scan)


def _offer_slice(shown: int, state: SeriesState, classes: tuple[str, ...]) -> None:
    """The way to the slice with most to say.

    Only now: first answers say nothing of flags, and many of them are to slices that the examination refuses. And
    nobody is taken there: the reader may be turning the slices himself.
    """
    from core.defence.series import most_telling

    telling = most_telling(state.ordered, classes)
    if telling is None or telling.frame == shown:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(f"Go to slice {telling.frame + 1}", key="go-to-slice", on_click=_go, args=(telling.frame,))
        st.markdown(f"It has most to say: {plain(telling.reason)}.", width="stretch")


def _go(frame: int) -> None:
    session = current_session()
    if session.scan and frame < session.scan.frame_count:
        session.frame = frame
    forget_problem()
