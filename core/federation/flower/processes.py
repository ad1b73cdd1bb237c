"""Processes of a federation: how one is started and watched, and what it does first itself."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

ENDING = 5.0
"""Seconds between being told to stop and being stopped."""


def own_threads(processes: int) -> dict[str, str]:
    """What keeps so many processes from computing on all cores each, which slows all; nothing where that is set."""
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // max(1, processes)))}


def quiet_flower(home: Path) -> None:
    """Before flwr is imported: its own files go to `home`, and nothing is told to anybody outside."""
    os.environ |= {"FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}


def end_with_parent() -> threading.Event:
    """End this process when its standard input ends: the parent holds the other end, and lets go however it ends.

    Returns
    -------
    Event
        Set at the first line of standard input: the parent lets its processes load side by side, and then begin.
    """
    begun = threading.Event()

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            begun.set()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    return begun


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@dataclass
class Process:
    """One process, whatever it is for.

    Attributes
    ----------
    name : str
        What it is called.
    command : sequence of str
        What starts it.
    log : Path
        Where its words go.
    environment : mapping of str to str
        On top of this process's.
    reads : bool
        Whether its standard output is read here, as JSON lines, rather than going to the log.
    starts : int
        How often it was started.
    ended : float
        When it was found to have ended, by the monotonic clock; 0 while it runs.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    reads: bool = False
    starts: int = 0
    ended: float = 0.0
    popen: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, with its words going to its log; standard input ends with this process."""
        self.starts += 1
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.reads else log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        if self.reads:
            os.set_blocking(self._stdout().fileno(), False)

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self.popen is not None and self.popen.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status; None where it has none yet."""
        return self.popen.poll() if self.popen else None

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it has printed since, a JSON object a line."""
        for line in iter(self._stdout().readline, b""):
            if line is None:
                return
            yield json.loads(line)

    def begin(self) -> None:
        """Tell it that it may begin, see `end_with_parent`; one that has ended meanwhile doesn't hear it."""
        assert self.popen is not None and self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(b"\n")
            self.popen.stdin.flush()

    def tell_to_stop(self) -> None:
        """Ask it to end."""
        if self.running and self.popen:
            self.popen.terminate()

    def kill(self) -> bool:
        """End it at once, without a word; whether it was running."""
        running = self.running
        if running and self.popen:
            self.popen.kill()
        return running

    def stop(self) -> None:
        """Have it ended, by force where it doesn't by itself."""
        if self.popen is None:
            return
        self.tell_to_stop()
        try:
            self.popen.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                stream.close()

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "It said nothing."

    def _stdout(self) -> BinaryIO:
        assert self.popen is not None and self.popen.stdout is not None
        return self.popen.stdout  # type: ignore[return-value]
