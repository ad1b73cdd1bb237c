"""Your scanner: a site's own unattacked scans, opened and examined, and the thresholds that fit them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.detect.site_result import draw_result
from pages.shared.job_status import Progress, draw_job_status, draw_stop, follow
from pages.shared.page_state import PageState
from pages.shared.uploads import refusal
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.typing import UploadedFile

    from core import Bundle
    from core.defence.profile import Profile
    from core.report.site_scans import SiteScans
    from pages.detect.record import Record
    from pages.shared.session import Session

FILES = "site-files"
SOME_NAMES = 3
ADDED = "This classifier was added, and has no thresholds but those that are fitted for it."


@dataclass(kw_only=True)
class SiteState(PageState):
    """One site's scans.

    found: what was found so far; profile: what was fitted, once all are done; problem: why nothing could be.
    """

    found: SiteScans | None = None
    profile: Profile | None = None
    problem: str | None = None

    def outlives(self, attacked_copy: bool) -> bool:
        """It is about a site's scans, whatever scan is open."""
        return True

    def take(self, found: SiteScans) -> None:
        """Note how far it is."""
        self.found = found


def draw_site(session: Session, record: Record) -> None:
    """The uploader, the button, and what came of it."""
    from core.defence.profile import RECOMMENDED_SCANS, fewest_scans, groups_of

    groups = groups_of(record.bundle.starting_limits(record.classifier))
    least = max(fewest_scans(group.alpha) for group in groups.values())
    own = "Thresholds are set on the scans behind the bundle; another scanner’s are often flagged for being different."
    st.markdown(
        f"{own if record.own else ADDED} Bring **{RECOMMENDED_SCANS} or more of your own scans that nobody attacked**, "
        f"without labels, and the thresholds are fitted to them. From {least} scans on it works, with a wider promise."
    )
    state = session.current(SiteState, (record.bundle.name, record.classifier, session.seed))
    running = state is not None and state.running
    files = st.file_uploader(
        "Your scans: several files, or one ZIP",
        accept_multiple_files=True,
        key=FILES,
        disabled=running,
        help="Every file is a scan of its own. A volume counts once, with its middle slice; so does a DICOM series in "
        "many files, and scans with the same pixels. The files stay in this server’s memory.",
    )
    idle = st.empty() if running else st.container()
    if state and running:
        draw_stop(state, "site-stop")
        follow(state, lambda: _progress(state))
        st.rerun()
    with idle:
        _draw_idle(session, record, state, files)


def _draw_idle(session: Session, record: Record, state: SiteState | None, files: list[UploadedFile]) -> None:
    problem = refusal(files)
    if problem:
        st.error(problem, icon=":material/error:")
    st.button(
        "Fit thresholds to these scans", icon=":material/tune:", type="primary", key="site-start",
        on_click=_begin, args=(session, record), disabled=not files or bool(problem),
    )  # fmt: skip
    if state is None:
        if not files:
            st.info("Choose your scans. Nothing is computed before you start.", icon=":material/info:")
        return
    found = state.found
    how_far = f" after {found.opened} of {found.files} files" if found else ""
    draw_job_status(state, how_far, then="No thresholds were fitted. Start again to go through all files.")
    _finish(state, record)
    if found:
        _draw_left_out(found)
    if state.problem:
        st.error(plain(state.problem), icon=":material/error:")
    if state.profile and found:
        draw_result(session, record, state.profile, found)


def _begin(session: Session, record: Record) -> None:
    files = [(file.name, bytes(file.getbuffer())) for file in st.session_state[FILES]]
    state = session.keep(SiteState(choices=(record.bundle.name, record.classifier, session.seed)))
    state.start(_steps(files, record.bundle, record.classifier, session.seed), state.take)


def _steps(files: list[tuple[str, bytes]], models: Bundle, classifier: str, seed: int) -> Iterator[SiteScans]:
    """As shipped: what a profile is fitted to must not hang on the one in use."""
    from core.report.cohort import uploaded_cohort
    from core.report.site_scans import site_scans

    yield from site_scans(uploaded_cohort(files), models, classifier, seed)


def _progress(state: SiteState) -> Progress:
    found = state.found
    if found is None:
        return Progress(0, 1, "unpacking")
    text = f"{found.opened} of {found.files} files opened, {found.scans} scans examined"
    return Progress(found.opened + found.settled, 2 * found.files, text)


def _finish(state: SiteState, record: Record) -> None:
    """Fit once all is done; of what was cut off nothing is fitted."""
    from core.defence.profile import ProfileError

    job, found = state.begun, state.found
    if job.error or job.cut_short or found is None or state.profile or state.problem:
        return
    try:
        state.profile = found.fitted(record.bundle, record.classifier)
    except ProfileError as error:
        state.problem = str(error)


def _draw_left_out(found: SiteScans) -> None:
    left = found.left_out()
    if not left:
        return
    st.markdown(f"Of {found.files} files, **{found.scans} scans count**. Left out: {'; '.join(left)}.")
    for _, why in found.unreadable[:SOME_NAMES]:
        st.caption(plain(why))
    if len(found.unreadable) > SOME_NAMES:
        st.caption(f"And {len(found.unreadable) - SOME_NAMES} more.")
