"""Jobs: watched, stopped within a step, paused, fair to others, and gone when nobody looks."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from pages.shared import jobs
from pages.shared.errors import UNEXPECTED
from pages.shared.jobs import Job, sentence, watch
from pages.shared.worker import Worker

STEP_SECONDS = 0.01


def counting(until: int | None = None, closed: list[str] | None = None) -> Iterator[int]:
    number = 0
    try:
        while until is None or number < until:
            time.sleep(STEP_SECONDS)
            yield number
            number += 1
    finally:
        if closed is not None:
            closed.append(threading.current_thread().name)


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It did not come about."
        time.sleep(0.002)


def test_every_step_is_taken_in_the_worker_and_in_order() -> None:
    taken, threads = [], set()

    def take(number: int) -> None:
        taken.append(number)
        threads.add(threading.current_thread().name)

    job = Job(Worker(), counting(50), take)
    assert not job.done
    job.start()
    assert job.wait(10) and job.done
    assert taken == list(range(50)) and job.count == 50
    assert len(threads) == 1 and threading.current_thread().name not in threads
    assert not job.stopped and not job.cut_short and job.error is None
    assert 50 * STEP_SECONDS <= job.seconds < 5


def test_stop_ends_within_a_step_and_closes_the_iterator_in_the_worker() -> None:
    taken, closed = [], []
    job = Job(Worker(), counting(closed=closed), taken.append)
    job.start()
    wait_for(lambda: job.count >= 5)
    job.stop()
    count = job.count
    assert job.stopped
    assert job.wait(1)
    assert job.cut_short and not job.abandoned
    assert count <= job.count <= count + 1
    assert taken == list(range(job.count))
    assert closed and closed[0].startswith("heavy-work")


def test_stop_before_the_first_slice_takes_no_step() -> None:
    worker, gate, taken = Worker(), threading.Event(), []
    worker.submit(gate.wait)
    job = Job(worker, counting(), taken.append)
    job.start()
    assert job.ahead == 1
    job.stop()
    gate.set()
    assert job.wait(5)
    assert not taken and job.cut_short


def test_two_runs_and_a_third_visitor_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SLICE_SECONDS", 0.03)
    worker, order = Worker(), []
    both = [Job(worker, counting(100), lambda _, name=name: order.append(name)) for name in "ab"]
    for job in both:
        job.start()
    wait_for(lambda: both[0].count)
    asked = time.monotonic()
    assert worker.submit(lambda: "mine").result(5) == "mine"
    assert time.monotonic() - asked < 0.5  # not after the 2 s that both need
    assert not both[0].done and not both[1].done
    assert all(job.wait(30) for job in both)
    changes = sum(first != second for first, second in zip(order, order[1:]))
    assert changes >= 6  # one after the other would be 1
    assert max(order[:20].count(name) for name in "ab") <= 15


def test_an_error_is_kept_and_ends_the_run() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("Steps must be at least 1.")

    job = Job(Worker(), failing(), lambda _: None)
    job.start()
    assert job.wait(5)
    assert job.count == 1 and not job.cut_short
    assert isinstance(job.error, ValueError)
    assert sentence(job.error) == "Steps must be at least 1."


def test_an_unexpected_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> Iterator[int]:
        raise RuntimeError("a secret path /srv/data")
        yield

    job = Job(Worker(), failing(), lambda _: None)
    job.start()
    assert job.wait(5) and job.error
    assert sentence(job.error) == UNEXPECTED
    assert "a secret path" in caplog.text


def test_an_error_in_what_takes_the_steps_closes_the_iterator() -> None:
    closed = []

    def take(_: int) -> None:
        raise ValueError("Full.")

    job = Job(Worker(), counting(closed=closed), take)
    job.start()
    assert job.wait(5)
    assert sentence(job.error) == "Full." and closed


def test_a_run_that_nobody_watches_stops_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PATIENCE_SECONDS", 2.0)
    job = Job(Worker(), counting(), lambda _: None)
    job.start()
    for _ in range(10):  # who asks is watching
        time.sleep(0.25)
        assert not job.done
    wait_for(lambda: job.stopped)  # which isn't asking whether it is done
    assert job.wait(5) and job.done and job.abandoned and job.cut_short and job.stopped


def test_a_paused_job_waits_for_ever_and_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SLICE_SECONDS", 0.03)
    worker, taken = Worker(), []
    job = Job(worker, counting(100), taken.append)
    job.start()
    wait_for(lambda: job.count >= 2)
    job.pause()
    worker.submit(lambda: None).result(5)  # the slice that was being done is over
    monkeypatch.setattr(jobs, "PATIENCE_SECONDS", 0.1)  # a slow machine would have it abandoned before
    count = job.count
    time.sleep(0.3)  # longer than anybody's patience
    assert job.paused and job.count == count < 100 and not job.done
    monkeypatch.undo()
    job.resume()
    job.pause()
    job.resume()
    assert not job.paused
    assert job.wait(30)
    assert taken == list(range(100)) and not job.cut_short


def test_a_paused_job_is_stopped_at_once_and_closed_in_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SLICE_SECONDS", 0.03)
    worker, closed = Worker(), []
    job = Job(worker, counting(closed=closed), lambda _: None)
    job.start()
    wait_for(lambda: job.count)
    job.pause()
    worker.submit(lambda: None).result(5)
    job.stop()
    assert job.wait(5) and job.cut_short and not job.abandoned
    assert closed and closed[0].startswith("heavy-work")


def test_watching_draws_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.02)
    drawn = []
    job = Job(Worker(), counting(20), lambda _: None)
    job.start()
    watch(job, lambda: drawn.append(job.count))
    assert job.done and job.count == 20
    assert len(drawn) >= 3 and drawn == sorted(drawn)


def test_old_steps_are_not_kept() -> None:
    class Step:
        pass

    seen: list[weakref.ref] = []

    def making() -> Iterator[Step]:
        for _ in range(5):
            yield Step()

    job = Job(Worker(), making(), lambda step: seen.append(weakref.ref(step)))
    job.start()
    assert job.wait(5)
    gc.collect()
    assert len(seen) == 5 and all(reference() is None for reference in seen)
