"""How a page shows a job: how far it is, that it waits, and how it ended. Without a network, as no job needs one."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.job_status import Progress, draw_progress, follow
from pages.shared.page_state import PageState
from pages.shared.worker import Worker
from tests.reading import texts

STEPS = 3


def steps(seconds: float = 0.0, error: Exception | None = None) -> Iterator[int]:
    for number in range(STEPS):
        time.sleep(seconds)
        yield number
    if error:
        raise error


def started(job: Iterator[int]) -> PageState:
    state = PageState(choices=())
    state.start(job, worker=Worker())
    return state


def page() -> None:
    """A page that follows the job in its session, with a chart, and that is drawn again at its end."""
    import streamlit as st

    from pages.shared.job_status import Progress, draw_job_status, draw_stop, follow

    state = st.session_state["state"]

    def draw(count: int) -> None:
        st.session_state["drawn"].append(count)
        st.plotly_chart({"data": [{"y": [1, 2]}]}, key=f"chart-{count}")

    if state.running:
        draw_stop(state)
        follow(state, lambda: Progress(state.job.count, 3, f"{state.job.count} of 3 steps"), draw)
        st.rerun()
    draw_job_status(state, f" after {state.job.count} of 3 steps")
    st.title("At rest")


def opened(state: PageState) -> AppTest:
    app = AppTest.from_function(page, default_timeout=20)
    app.session_state["state"], app.session_state["drawn"] = state, []
    return app.run()


def test_what_is_found_is_drawn_once_a_step_however_often_the_page_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.jobs.POLL_SECONDS", 0.01)
    app = opened(started(steps(0.1)))
    assert not app.exception and app.title[0].value == "At rest"
    drawn = app.session_state["drawn"]
    assert drawn == sorted(set(drawn)) and len(drawn) <= STEPS + 1
    assert not app.info and not app.button


def test_a_paused_job_is_shown_as_waiting_and_goes_on() -> None:
    state = started(steps())
    state.begun.wait(5)
    state = started(steps(0.3))
    state.begun.pause()
    app = opened(state)
    assert "The work waits" in app.info[0].value and not app.title
    assert [button.label for button in app.button] == ["Stop", "Go on"]
    app.button(key="go-on").click().run()
    assert not app.exception and app.title[0].value == "At rest"
    assert state.begun.count == STEPS and not app.info


def test_a_paused_job_can_be_stopped() -> None:
    state = started(steps(0.3))
    state.begun.pause()
    app = opened(state)
    app.button(key="stop").click().run()
    state.begun.wait(5)
    app.run()
    assert app.title[0].value == "At rest" and app.info[0].value.startswith("Stopped after ")


@pytest.mark.parametrize("can_wait", [True, False])
def test_what_the_page_no_longer_follows_waits_or_is_stopped_where_it_cannot(
    monkeypatch: pytest.MonkeyPatch, can_wait: bool
) -> None:
    """A fragment runs a second time only where the page's script was ended."""
    monkeypatch.setattr("pages.shared.job_status.st.fragment", lambda check, run_every: lambda: (check(), check()))
    monkeypatch.setattr("pages.shared.job_status.st.rerun", lambda: None)
    monkeypatch.setattr("pages.shared.job_status.watch", lambda job, draw: None)
    state = started(steps(0.3))
    follow(state, lambda: Progress(0, STEPS, "0 of 3 steps"), can_wait=can_wait)
    assert (state.begun.paused, state.begun.stopped) == (can_wait, not can_wait)
    state.stop()
    assert state.begun.wait(5)


def test_the_ending_says_why() -> None:
    state = started(steps(error=ValueError("The scan is too *small*.")))
    state.begun.wait(5)
    app = opened(state)
    assert app.error[0].value.replace("\\", "") == "The scan is too *small*."
    state = started(steps(0.2))
    state.stop()
    state.begun.wait(5)
    state.begun.abandoned = True
    assert ", as nobody was watching. What is shown" in texts(opened(state))


@pytest.mark.parametrize(
    "seconds, done, at_most, ahead, before, expected",
    [
        (1.0, 1, False, 0, 0, "1 of 4 · 1.0 s of computing"),
        (3.0, 1, False, 0, 0, "1 of 4 · 3.0 s of computing · about 9 s to come"),
        (300.0, 1, True, 0, 0, "1 of 4 · 300.0 s of computing · at most 15 min to come"),
        (3.0, 4, False, 2, 0, "4 of 4 · 3.0 s of computing · taking turns with other visitors"),
        (9.0, 3, False, 0, 2, "3 of 4 · 9.0 s of computing · about 9 s to come"),
        (9.0, 2, False, 0, 2, "2 of 4 · 9.0 s of computing"),
    ],
)
def test_progress_in_words(
    monkeypatch: pytest.MonkeyPatch, seconds: float, done: int, at_most: bool, ahead: int, before: int, expected: str
) -> None:
    said: list[tuple[float, str]] = []
    monkeypatch.setattr("pages.shared.job_status.st.progress", lambda share, text: said.append((share, text)))
    draw_progress(SimpleNamespace(seconds=seconds, ahead=ahead), Progress(done, 4, f"{done} of 4", at_most, before))
    assert said == [(done / 4, expected)]
