"""The thread that does all heavy work, and the log of what went wrong there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
LOG = logging.getLogger("purescan")


class Worker:
    """One thread for all heavy work: first come, first served, and one pool of OpenMP threads for the whole process.

    Torch starts such a pool for every thread that calls it, and pools beside each other on few cores stand in each
    other's way.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="heavy-work")
        self._lock = threading.Lock()
        self._pending: list[Future] = []

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue some work."""
        with self._lock:
            future = self._pool.submit(work)
            self._pending.append(future)
        future.add_done_callback(self._forget)
        return future

    def submit_aside(self, work: Callable[[], T]) -> Future[T]:
        """Queue some work that is over at once, and that nobody is told to stand behind."""
        return self._pool.submit(work)

    def ahead(self, future: Future) -> int:
        """How many stand before this one in the queue."""
        with self._lock:
            return self._pending.index(future) if future in self._pending else 0

    def _forget(self, future: Future) -> None:
        with self._lock:
            self._pending.remove(future)
