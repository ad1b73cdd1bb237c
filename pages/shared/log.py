"""The log of what was done, for whom by a random number, how long it took, and of what went wrong."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

T = TypeVar("T")
LOG = logging.getLogger("purescan")
NOBODY = "nobody"


class JsonLines(logging.Formatter):
    """Each record as one line of JSON.

    Of an error it holds the kind and the places in the code: its message may quote a file's name or a path.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        made = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": made, "level": record.levelname.lower(), "event": record.msg, **getattr(record, "facts", {})}
        if record.exc_info and record.exc_info[0]:
            frames = traceback.walk_tb(record.exc_info[2])
            line["error"] = record.exc_info[0].__name__
            line["at"] = [f"{frame.f_globals.get('__name__')}:{number}" for frame, number in frames]
        return json.dumps(line)


def start_logging() -> None:
    """Write the log to the server's standard error, once a process."""
    if not any(isinstance(handler.formatter, JsonLines) for handler in LOG.handlers):
        handler = logging.StreamHandler(sys.__stderr__)
        handler.setFormatter(JsonLines())
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)


class LogLine:
    """What one piece of work comes to in the log: what it was, for whom, how long it waited and ran, how it ended.

    Parameters
    ----------
    what : str
        The work in words of the program: no name, no path, nothing from a file.
    """

    def __init__(self, what: str) -> None:
        self._what, self._visitor = what, _visitor()
        self._queued, self._waited = time.monotonic(), 0.0
        self._ran = 0.0
        self._begun = False

    def begin(self) -> None:
        """Note that its turn has come; of several turns the first counts."""
        if not self._begun:
            self._begun, self._waited = True, time.monotonic() - self._queued

    def timed(self, work: Callable[[], T]) -> Callable[[], T]:
        """`work`, with its waiting and running noted."""

        def run() -> T:
            self.begin()
            start = time.monotonic()
            try:
                return work()
            finally:
                self._ran = time.monotonic() - start

        return run

    def end(self, future: Future) -> None:
        """Write the line of work that was queued by itself."""
        if future.cancelled():
            self.begin()
            self.write("left", 0.0)
        else:
            self.write("failed" if future.exception() else "done", self._ran, future.exception())

    def write(self, ended: str, ran: float, error: BaseException | None = None, **facts: int) -> None:
        """Write the line."""
        seconds = {"waited_s": round(self._waited, 3), "ran_s": round(ran, 3)}
        line = {"what": self._what, "visitor": self._visitor, **seconds, "ended": ended, **facts}
        if error is not None:
            line["error"] = type(error).__name__
        LOG.info("work", extra={"facts": line})


def _visitor() -> str:
    """The random number of the visitor whose script runs: it tells visits apart and names nobody."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return NOBODY
    return getattr(st.session_state.get("session"), "visitor", NOBODY)
