"""A job on the page: how far it is, how to stop it, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.errors import end_page
from pages.shared.jobs import sentence, watch
from pages.shared.visit.stage import progress_place
from pages.shared.words import duration, plain

if TYPE_CHECKING:
    from pages.shared.jobs import Job
    from pages.shared.page_state import PageState

# Before that the first steps, which are slower than the rest, would be taken for typical.
FORECAST_SECONDS = 2.0
CHECK_SECONDS = 1.0
SO_FAR = "What is shown is how far it had come."


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total`, and that in words; `at_most`: it may need less than `total`.

    before: what of `done` was done before this job, which took none of the job's time.
    """

    done: int
    total: int
    text: str
    at_most: bool = False
    before: int = 0


def follow(
    state: PageState,
    progress: Callable[[], Progress],
    draw: Callable[[int], object] | None = None,
    can_wait: bool = True,
) -> None:
    """Show how far a job is until it has ended; the caller then draws the page again.

    Parameters
    ----------
    state : PageState
        Whose job it is.
    progress : callable
        How far it is now.
    draw : callable, optional
        Draws what was found so far; called only where there is more than before. What it is given is another number
        each time: an element that needs a key takes it into the key, as no key may come twice in one run of a page.
    can_wait : bool, optional
        Whether the job can be paused where the page has stopped following it; otherwise it is stopped there.
    """
    job = state.begun
    # Each has its place whether it is drawn or not: what moves would leave its old self on the page, greyed.
    pause, bar, found = st.empty(), progress_place(), st.empty()
    drawn = -1

    def show() -> None:
        nonlocal drawn
        with bar:
            draw_progress(job, progress())
        count = job.count
        if draw and count != drawn:
            drawn = count
            with found.container():
                draw(count)

    show()
    if job.paused:
        with pause.container():
            _draw_paused(job)
        end_page()
    _pause_when_left(job, can_wait)
    watch(job, show)


def draw_progress(job: Job[Any], now: Progress) -> None:
    """How far a job is, what that took, how long the rest may take, and whether others have their turn as well."""
    parts = [now.text, f"{job.seconds:.1f} s of computing"]
    own = now.done - now.before
    if job.seconds > FORECAST_SECONDS and own > 0 and now.done < now.total:
        still = job.seconds / own * (now.total - now.done)
        parts.append(f"{'at most' if now.at_most else 'about'} {duration(still)} to come")
    if job.ahead:
        parts.append("taking turns with other visitors")
    st.progress(min(1.0, now.done / max(now.total, 1)), " · ".join(parts))


def draw_stop(state: PageState, key: str = "stop") -> None:
    """The button that ends what runs."""
    st.button("Stop", icon=":material/stop:", type="primary", on_click=state.stop, key=key, shortcut="Esc")


def draw_job_status(state: PageState, how_far: str = "", doing: object = None, then: str = SO_FAR) -> None:
    """How the last job ended, where it did not come to its own end.

    `how_far` such as " after 3 of 9 experts", empty where it is plain; `doing`: only if it was this; `then`: what
    became of the work.
    """
    job = state.job
    if job is None or state.doing != doing or state.running:
        return
    if job.error:
        st.error(plain(sentence(job.error)), icon=":material/error:")
    elif job.cut_short:
        why = ", as nobody was watching" if job.abandoned else ""
        st.info(f"Stopped{how_far}{why}. {then}", icon=":material/stop_circle:")


def _pause_when_left(job: Job[Any], can_wait: bool) -> None:
    """Pause the job where the page has stopped following it, or stop what can't wait, and draw the page again.

    Streamlit's own Stop ends a page's script where it is, and nothing says so to anybody.
    """
    begun = False

    def check() -> None:
        nonlocal begun
        if not begun:
            begun = True
            return
        # A fragment runs on its own only where the page's script does not run.
        if not job.done:
            (job.pause if can_wait else job.stop)()
        st.rerun()

    st.fragment(check, run_every=CHECK_SECONDS)()


def _draw_paused(job: Job[Any]) -> None:
    st.info("The page was stopped. The work waits, and nothing of it is lost.", icon=":material/pause_circle:")
    st.button("Go on", icon=":material/play_arrow:", type="primary", on_click=job.resume, key="go-on")
