"""One visitor at a time, in order, and a failure is the visitor's own."""

import threading
from collections.abc import Hashable, Sequence
from unittest.mock import MagicMock

import pytest

from pages.shared.runtime import _say
from pages.shared.worker import Batch, Worker


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
