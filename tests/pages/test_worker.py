"""One visitor at a time, in order, and a failure is the visitor's own."""

import threading
from unittest.mock import MagicMock

import pytest

from pages.shared.runtime import _say
from pages.shared.worker import Worker


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
