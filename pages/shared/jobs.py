"""Long work in slices: it can be watched, stopped at any step, and lets other visitors in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from pages.shared.errors import UNEXPECTED
from pages.shared.log import LOG, LogLine

if TYPE_CHECKING:
    from pages.shared.worker import Worker

T = TypeVar("T")
SLICE_SECONDS = 0.2
PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.25


class Job(Generic[T]):
    """Advances an iterator in the worker, a slice at a time, and queues again behind what others brought meanwhile.

    It ends by itself when nobody has asked whether it is `done` for 15 seconds: whoever started it has left, and it
    must not burn the processor for no one.

    Parameters
    ----------
    worker : Worker
        Whose queue the slices stand in.
    steps : iterator
        What to advance; closed in the worker, within a step, when the run is stopped.
    take : callable
        Is given each step, in the worker. The run itself keeps none.
    what : str
        What the log calls it.

    Attributes
    ----------
    count, seconds
        Steps taken so far, and the time that they took to compute.
    error : Exception or None
        What ended the run before its time.
    cut_short, abandoned : bool
        It ended before the last step because somebody stopped it, or because nobody watched it.
    paused : bool
        It takes no steps until it is resumed or stopped.
    """

    def __init__(self, worker: Worker, steps: Iterator[T], take: Callable[[T], None], what: str = "job") -> None:
        self._worker = worker
        self._steps: Iterator[T] | None = steps
        self._take: Callable[[T], None] | None = take
        self._stop, self._ended = threading.Event(), threading.Event()
        self._pause, self._waiting = threading.Lock(), False
        self._future: Future | None = None
        self._line = LogLine(what)
        self._asked = time.monotonic()
        self.count, self.seconds = 0, 0.0
        self.error: Exception | None = None
        self.cut_short = self.abandoned = self.paused = False

    def start(self) -> None:
        """Queue the first slice."""
        self._future = self._worker.submit(self._slice)

    def stop(self) -> None:
        """End within a step; returns at once."""
        self._stop.set()
        self.resume()  # what waits has to be closed in the worker, too

    def pause(self) -> None:
        """Take no more steps than the current slice's until it is resumed; a job that waits is never abandoned."""
        with self._pause:
            self.paused = True

    def resume(self) -> None:
        """Go on where it was paused."""
        self._asked = time.monotonic()
        with self._pause:
            self.paused = False
            if self._waiting:
                self._waiting = False
                self.start()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop, or has stopped by itself as nobody watched."""
        return self._stop.is_set()

    @property
    def done(self) -> bool:
        """Whether no more steps will be taken. Who asks is watching."""
        self._asked = time.monotonic()
        return self._ended.is_set()

    @property
    def ahead(self) -> int:
        """How many stand before it in the worker's queue."""
        return 0 if self._future is None else self._worker.ahead(self._future)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, for so long at most; whether it has."""
        self._asked = time.monotonic()
        return self._ended.wait(seconds)

    def _slice(self) -> None:
        self._line.begin()
        start = time.perf_counter()
        try:
            finished = self._advance(start + SLICE_SECONDS)
        except Exception as error:
            # What was told to stop may have been torn from whatever it waited for.
            self.cut_short = self._stop.is_set() and isinstance(error, ValueError)
            if not self.cut_short:
                self._fail(error)
            finished = True
        self.seconds += time.perf_counter() - start
        if finished:
            self._finish()
            return
        with self._pause:
            self._waiting = self.paused
            if not self.paused:
                self.start()

    def _advance(self, until: float) -> bool:
        assert self._steps is not None and self._take is not None
        while time.perf_counter() < until:
            if self._told_to_stop():
                self.cut_short = True
                return True
            try:
                step = next(self._steps)
            except StopIteration:
                return True
            self._take(step)
            self.count += 1
        return False

    def _told_to_stop(self) -> bool:
        if not self._stop.is_set() and time.monotonic() - self._asked > PATIENCE_SECONDS:
            self.abandoned = True
            self._stop.set()
        return self._stop.is_set()

    def _finish(self) -> None:
        try:
            close = getattr(self._steps, "close", None)
            if close:
                close()
        except Exception as error:
            self._fail(error)
        # What the iterator held goes now, not when the visitor does.
        self._steps = self._take = None
        ended = "left" if self.abandoned else "stopped" if self.cut_short else "failed" if self.error else "done"
        self._line.write(ended, self.seconds, self.error, steps=self.count)
        self._ended.set()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, ValueError):
            LOG.error("A run in the background failed.", exc_info=error)
        self.error = error.with_traceback(None)  # its frames would hold what the iterator held


def watch(job: Job, draw: Callable[[], None]) -> None:
    """Call `draw` again and again until the run has ended; Streamlit stops the script of a visitor who has left."""
    while not job.wait(POLL_SECONDS):
        draw()


def sentence(error: Exception) -> str:
    """What to tell a visitor: a ValueError of core says it itself."""
    return str(error) if isinstance(error, ValueError) else UNEXPECTED
