"""One visitor at a time, in order, a failure is the visitor's own, and the log says what was done and for whom."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Hashable, Sequence
from unittest.mock import MagicMock

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.jobs import Job
from pages.shared.log import LOG, JsonLines, LogLine, start_logging
from pages.shared.runtime import _say
from pages.shared.worker import Batch, Worker
from tests.reading import session


def work_lines(caplog: pytest.LogCaptureFixture) -> list[dict]:
    """What the log says of work that was done, as it is written."""
    texts = [JsonLines().format(record) for record in caplog.records if record.name == "purescan"]
    return [line for text in texts if (line := json.loads(text))["event"] == "work"]


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "purescan")


def test_work_is_done_in_order_by_one_thread() -> None:
    worker, seen = Worker(), []
    futures = [worker.submit(lambda n=n: seen.append((n, threading.current_thread().name))) for n in range(20)]
    for future in futures:
        future.result(10)
    assert [number for number, _ in seen] == list(range(20))
    assert len({thread for _, thread in seen}) == 1


def test_ahead_counts_those_before() -> None:
    worker, gate = Worker(), threading.Event()
    futures = [worker.submit(gate.wait), worker.submit(gate.wait), worker.submit(gate.wait)]
    assert [worker.ahead(future) for future in futures] == [0, 1, 2]
    futures[1].cancel()
    assert worker.ahead(futures[2]) == 1
    gate.set()
    assert futures[2].result(10)
    assert worker.ahead(futures[2]) == 0


@pytest.mark.parametrize(
    ("ahead", "words"), [(0, "Working"), (1, "1 visitor ahead of you"), (3, "3 visitors ahead of you")]
)
def test_waiting_visitors_are_told_who_is_ahead(ahead: int, words: str) -> None:
    message = MagicMock()
    _say(message, "Working", ahead)
    assert message.info.call_args.args[0].startswith(words)


def test_an_error_reaches_only_the_one_who_asked() -> None:
    worker = Worker()

    def fail() -> None:
        raise ValueError("mine")

    broken, fine = worker.submit(fail), worker.submit(lambda: 1)
    with pytest.raises(ValueError, match="mine"):
        broken.result(10)
    assert fine.result(10) == 1


def test_a_line_says_what_was_done_and_how_long_it_waited_and_ran(caplog: pytest.LogCaptureFixture) -> None:
    worker, gate = Worker(), threading.Event()
    worker.submit(lambda: gate.wait(0.2))
    line = LogLine("Examining the scan")
    future = worker.submit(line.timed(lambda: gate.wait(0.1)))
    future.add_done_callback(line.end)
    worker.submit(lambda: None).result(10)
    (told,) = work_lines(caplog)
    assert list(told) == ["time", "level", "event", "what", "visitor", "waited_s", "ran_s", "ended"]
    assert told["what"] == "Examining the scan" and told["ended"] == "done" and told["visitor"] == "nobody"
    assert 0.15 < told["waited_s"] < 5 and 0.08 < told["ran_s"] < 5


@pytest.mark.parametrize(
    ("steps", "ended"), [(lambda: iter("abc"), "done"), (lambda: (1 / (2 - step) for step in range(3)), "failed")]
)
def test_a_job_is_one_line_however_many_its_turns(
    steps: Callable, ended: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(Worker(), steps(), lambda _: None, "attack")
    job.start()
    assert job.wait(10)
    (told,) = work_lines(caplog)
    assert (told["what"], told["ended"], told["steps"]) == ("attack", ended, 3 if ended == "done" else 2)
    assert told.get("error") == (None if ended == "done" else "ZeroDivisionError")


def test_who_leaves_before_the_turn_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    worker, gate = Worker(), threading.Event()
    worker.submit(gate.wait)
    line = LogLine("Examining the scan")
    future = worker.submit(line.timed(lambda: None))
    future.add_done_callback(line.end)
    assert future.cancel()
    gate.set()
    assert [told["ended"] for told in work_lines(caplog)] == ["left"]


def test_no_message_of_an_error_reaches_the_log() -> None:
    try:
        raise RuntimeError("'Doe^John.dcm' in /srv/data")
    except RuntimeError:
        record = LOG.makeRecord("purescan", logging.ERROR, __file__, 1, "A page failed.", (), sys.exc_info())
    text = JsonLines().format(record)
    told = json.loads(text)
    assert told["error"] == "RuntimeError" and told["at"][0].startswith(f"{__name__}:")
    assert "Doe" not in text and "/" not in text


def test_the_log_is_started_once() -> None:
    start_logging()
    start_logging()
    assert sum(isinstance(handler.formatter, JsonLines) for handler in LOG.handlers) == 1


@pytest.mark.slow
def test_a_visit_is_a_number_and_its_file_is_not_named(
    app: AppTest, mr_file: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    next(found for found in app.file_uploader if found.key == "upload-0").upload("Doe^John.dcm", mr_file)
    app.run()
    assert not app.exception and session(app).scan.name == "Doe^John.dcm"
    # A job of an earlier test may still be under way.
    lines = [told for told in work_lines(caplog) if told["visitor"] == session(app).visitor]
    assert [told["what"] for told in lines] == ["Opening the scan", "Examining the scan"]
    assert len(session(app).visitor) == 8
    assert "Doe" not in f"{lines}"


class Halved:
    """Halves numbers, and remembers which it was given together; an odd one fails."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.given.append(list(numbers))
        if odd := [number for number in numbers if number % 2]:
            raise ValueError(f"{odd[0]} is odd")
        return [number // 2 for number in numbers]

    def batch(self, kind: Hashable = "even", most: int = 3) -> Batch[int, int]:
        return Batch(kind, most, self)


def test_what_waits_is_done_together_in_order_of_arrival_and_each_gets_his_own() -> None:
    worker, gate, halve = Worker(), threading.Event(), Halved()
    worker.submit(gate.wait)
    numbers = [2, 4, 6, 8, 10]
    answers = [worker.submit_together(number, halve.batch()) for number in numbers]
    gate.set()
    assert [answer.result(10) for answer in answers] == [1, 2, 3, 4, 5]
    assert halve.given == [[2, 4, 6], [8, 10]]


def test_another_kind_and_other_work_keep_their_turns() -> None:
    worker, gate, halve, order = Worker(), threading.Event(), Halved(), []
    worker.submit(gate.wait)
    first = [worker.submit_together(number, halve.batch()) for number in (2, 4, 6)]
    between = worker.submit(lambda: order.append(len(halve.given)))
    other = worker.submit_together(20, halve.batch("another"))
    last = worker.submit_together(8, halve.batch())
    gate.set()
    assert [answer.result(10) for answer in (*first, other, last)] == [1, 2, 3, 10, 4]
    between.result(10)
    assert (order, halve.given) == ([1], [[2, 4, 6], [20], [8]])


def test_who_has_left_is_dropped_and_an_error_is_its_own() -> None:
    worker, gate, halve = Worker(), threading.Event(), Halved()
    worker.submit(gate.wait)
    answers = [worker.submit_together(number, halve.batch()) for number in (2, 4, 5, 6)]
    assert answers[0].cancel()
    gate.set()
    assert (answers[1].result(10), answers[3].result(10)) == (2, 3)
    with pytest.raises(ValueError, match="5 is odd"):
        answers[2].result(10)
    assert halve.given == [[4, 5, 6], [4], [5], [6]]


def test_ahead_counts_those_who_were_taken_along() -> None:
    worker, gate, begun = Worker(), threading.Event(), threading.Event()

    def work(requests: Sequence[int]) -> Sequence[int]:
        begun.set()
        gate.wait()
        return requests

    batch: Batch[int, int] = Batch("kind", 2, work)
    held = threading.Event()
    worker.submit(held.wait)
    first = worker.submit_together(1, batch)
    between = worker.submit(lambda: None)
    second, third = worker.submit_together(2, batch), worker.submit_together(3, batch)
    assert [worker.ahead(future) for future in (first, between, second, third)] == [1, 2, 3, 4]
    held.set()
    assert begun.wait(10)
    assert [worker.ahead(future) for future in (first, between, second, third)] == [0, 2, 0, 3]
    gate.set()
    assert third.result(10) == 3
