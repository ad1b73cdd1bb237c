"""The study that the open scan is of: its series, and the way to another of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pages.shared.page_state import PageState
from pages.shared.runtime import work_aside

if TYPE_CHECKING:
    from core.scans import Series, Study
    from pages.shared.session import Session


@dataclass(kw_only=True)
class StudyState(PageState):
    """The study that the open scan is of, as long as it is: where that holds more, another is opened from it.

    series: what it holds, once that was asked for; wanted: the series and the volume of it to open, each from 0;
    choices: its digest.
    """

    study: Study
    series: tuple[Series, ...] | None = None
    wanted: tuple[int, int] | None = None

    def outlives(self, attacked_copy: bool) -> bool:
        """Whether another scan is of the same study is seen where the state is asked for."""
        return True


def study_state(session: Session) -> StudyState | None:
    """The study of the scan that is open, or was attacked, where it holds more than that; let go where it doesn't."""
    scan, *_ = session.target()
    return session.current(StudyState, (scan and scan.sha256,))


def open_study(
    session: Session, study: Study, sample: str | None = None, series: int | None = None, volume: int = 0
) -> None:
    """Open a scan of a study, and keep the study where it holds others.

    Beside all other work, in a process of its own; whoever leaves meanwhile ends it. ScanError where it can't be.
    """
    opening = study.begin(series, volume)
    scan = work_aside("Opening the scan …", opening.finish, opening.cancel)
    session.take(scan, sample)
    if study_state(session) is None and (scan.series_count > 1 or scan.volume_count > 1):
        session.keep(StudyState(choices=(scan.sha256,), study=study))


def list_study(state: StudyState) -> tuple[Series, ...]:
    """The series of a study, each with a picture; none where they can't be told, which isn't tried again."""
    from core.scans import ScanError

    if state.series is None:
        try:
            listing = state.study.begin_list()
            state.series = work_aside("Looking through the study …", listing.listed, listing.cancel)
        except ScanError:
            state.series = ()
    return state.series
