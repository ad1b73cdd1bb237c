"""The thread that does all heavy work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batch(NamedTuple, Generic[R, T]):
    """Work that is done for several visitors at once.

    kind: only what is of one kind is done together; most: how many at most; work: the requests of some visitors → a
    result for each, in that order.
    """

    kind: Hashable
    most: int
    work: Callable[[Sequence[R]], Sequence[T]]


class Worker:
    """One thread for all heavy work: first come, first served, and one pool of OpenMP threads for the whole process.

    Torch starts such a pool for every thread that calls it, and pools beside each other on few cores stand in each
    other's way.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="heavy-work")
        self._lock = threading.Lock()
        self._pending: list[Future] = []
        # What waits to be done together with others of its kind, in order of arrival.
        self._requests: dict[Future, tuple[Hashable, Any]] = {}

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue some work."""
        with self._lock:
            future = self._pool.submit(work)
            self._pending.append(future)
        future.add_done_callback(self._forget)
        return future

    def submit_together(self, request: R, batch: Batch[R, T]) -> Future[T]:
        """Queue a request; when its turn comes, those of its kind that wait behind it are done with it."""
        answer: Future[T] = Future()
        with self._lock:
            self._pending.append(answer)
            self._requests[answer] = batch.kind, request
            self._pool.submit(self._take_turn, answer, batch)
        answer.add_done_callback(self._forget)
        return answer

    def submit_aside(self, work: Callable[[], T]) -> Future[T]:
        """Queue some work that is over at once, and that nobody is told to stand behind."""
        return self._pool.submit(work)

    def ahead(self, future: Future) -> int:
        """How many are done before this one: those before it in the queue, and those whom others took along."""
        with self._lock:
            if future.running() or future not in self._pending:
                return 0
            place = self._pending.index(future)
            return place + sum(other.running() for other in self._pending[place:])

    def _take_turn(self, first: Future[T], batch: Batch[R, T]) -> None:
        if taken := self._taken(first, batch):
            _answer(taken, batch.work)

    def _taken(self, first: Future[T], batch: Batch[R, T]) -> dict[Future[T], R]:
        """What to do now; nothing where an earlier turn took the first one along, or its visitor has left."""
        taken: dict[Future[T], R] = {}
        with self._lock:
            if first not in self._requests:
                return taken
            for answer in [answer for answer, (kind, _) in self._requests.items() if kind == batch.kind]:
                if len(taken) < batch.most:
                    _, request = self._requests.pop(answer)
                    if answer.set_running_or_notify_cancel():
                        taken[answer] = request
        return taken

    def _forget(self, future: Future) -> None:
        with self._lock:
            self._pending.remove(future)
            self._requests.pop(future, None)


def _answer(taken: dict[Future[T], R], work: Callable[[Sequence[R]], Sequence[T]]) -> None:
    """Give each visitor the result for his request. What fails for several is done for each alone."""
    try:
        answers = list(zip(taken, work(list(taken.values())), strict=True))
    except BaseException as error:  # as in a pool: whoever waits must hear of it
        if len(taken) == 1:
            next(iter(taken)).set_exception(error)
            return
        for answer, request in taken.items():
            _answer({answer: request}, work)
    else:
        for answer, result in answers:
            answer.set_result(result)
