"""Opens files in processes that may be killed: each with an end to its memory and its time."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from core.scans import limits, wire
from core.scans.memory.shared import SharedMemory
from core.scans.outlines.outline import Outline, Target
from core.scans.scan import Scan, ScanError, Series
from core.scans.sorting import FileFacts

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 5.0
"""How much longer than its time a process may take to end, before it is taken for lost."""

END_SECONDS = 0.2

Source = bytes | memoryview | SharedMemory | Path
Answer = TypeVar("Answer")
Receive = Callable[[socket.socket, dict[str, Any]], Answer]


class Reader:
    """Has files opened by a process that forks one of its own for each.

    Parameters
    ----------
    memory : int
        Bytes that opening one file may take.
    seconds : float
        Time that opening one file may take.
    at_once : int
        How many files are opened side by side; others wait.
    """

    def __init__(
        self, memory: int = limits.MAX_MEMORY_BYTES, seconds: float = limits.MAX_SECONDS, at_once: int = 2
    ) -> None:
        self.memory, self.seconds = memory, seconds
        self.places = threading.BoundedSemaphore(at_once)
        self._lock, self._numbers = threading.Lock(), itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def died(self) -> bool:
        """Whether the process is no more; it takes a moment to end."""
        process = self._process
        if process is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        return process.poll() is not None

    @property
    def pid(self) -> int | None:
        """The process's id; None where none runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, so that the first file need not wait for it; returns at once."""
        with self._lock:
            self._running()

    def close(self) -> None:
        """End the process, and with it what it opens."""
        with self._lock:
            self._end()

    def open(self, source: Source, name: str) -> Scan:
        """Return the scan in a file; the same as `begin(source, name).finish()`."""
        return self.begin(source, name).finish()

    def begin(self, source: Source, name: str, series: int | None = None, volume: int = 0) -> Opening:
        """Return the opening of a file, which can be cancelled.

        Parameters
        ----------
        source : bytes, memoryview, SharedMemory or Path
            The content of a file, or the path of a file or a folder.
        name : str
            Name of the scan.
        series : int, optional
            Which of the series that `begin_list` finds, from 0; the first by default.
        volume : int
            Which of its volumes, from 0.
        """
        return Opening(self, source, {"name": name, "list": False, "series": series, "volume": volume})

    def begin_list(self, source: Source, name: str, thumbnails: bool = False) -> Opening:
        """Return the listing of the series in a file or a folder, with a picture of each where wanted."""
        return Opening(self, source, {"name": name, "list": True, "thumbnails": thumbnails})

    def begin_sort(self, archive: Source, name: str) -> Opening:
        """Return the sorting of the files in an archive: `Opening.sorted_files` waits for it."""
        return Opening(self, archive, {"name": name, "list": False, "sort": True})

    def outline(self, source: Source, name: str, target: Target) -> Opening:
        """Return the opening of a file that outlines something on a scan: `Opening.outlined` waits for it."""
        placement = target.placement and asdict(target.placement)
        facts = {"shape": target.shape, "thickness": target.thickness, "placement": placement}
        return Opening(self, source, {"name": name, "list": False, "target": facts})

    def number(self) -> int:
        """A number that no opening has had."""
        return next(self._numbers)

    def order(self, verb: str, number: int, connection: socket.socket | None = None) -> None:
        """Tell the process to open or kill; it is started again where it has died. Raise OSError where it can't be."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    descriptors = [connection.fileno()] if connection else []
                    message = f"{verb} {number}".ljust(wire.ORDER_BYTES).encode("ascii")
                    socket.send_fds(self._running(), [message], descriptors)
                    return
                except OSError:
                    self._end()
                    if attempt == 2:
                        raise

    def _running(self) -> socket.socket:
        if self._orders is None or self._process is None or self._process.poll() is not None:
            self._end()
            self._orders, other = socket.socketpair()
            # Its decoders work on one core; threads would not outlive the fork.
            alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            with other:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "core.scans.reader_process"],
                    cwd=ROOT,
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=os.environ | alone,
                )
        return self._orders

    def _end(self) -> None:
        if self._orders is not None:
            self._orders.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._orders = self._process = None


class Opening:
    """A file that is being opened."""

    def __init__(self, reader: Reader, source: Source, request: dict[str, Any]) -> None:
        self._reader, self._source, self._request = reader, source, request
        self._name, self._number = request["name"], reader.number()
        self._cancelled = threading.Event()
        self._started = False

    def cancel(self) -> None:
        """End it wherever it is; `finish` then raises. Does nothing where it has ended."""
        self._cancelled.set()
        if self._started:
            with contextlib.suppress(OSError):
                self._reader.order("kill", self._number)

    def finish(self) -> Scan:
        """Wait for the scan.

        Raises
        ------
        ScanError
            One sentence that says what is wrong and what to do; nothing else is ever raised.
        """
        return self._wait(wire.receive_scan)

    def listed(self) -> tuple[Series, ...]:
        """Wait for the series, where these were asked for; raise ScanError as `finish` does."""
        return self._wait(lambda _, facts: wire.received_series(facts))

    def sorted_files(self) -> tuple[FileFacts, ...]:
        """Wait for what the files are, where that was asked for; raise ScanError as `finish` does."""
        return self._wait(lambda _, facts: tuple(map(FileFacts.from_facts, facts["files"])))

    def outlined(self) -> tuple[Outline, ...]:
        """Wait for the outlines, where these were asked for; raise ScanError as `finish` does."""
        shape = self._request["target"]["shape"]
        return self._wait(lambda connection, facts: wire.receive_outlines(connection, facts, shape))

    def _wait(self, receive: Receive[Answer]) -> Answer:
        while not self._reader.places.acquire(timeout=0.1):
            self._raise_if_cancelled()
        start = time.monotonic()
        try:
            return self._answer(receive, attempts=2)
        except ScanError:
            raise
        except MemoryError as error:
            raise ScanError(limits.TOO_MUCH_MEMORY.format(self._name)) from error
        except Exception as error:
            self._raise_if_cancelled()
            raise ScanError(self._why(time.monotonic() - start)) from error
        finally:
            self._reader.places.release()

    def _answer(self, receive: Receive[Answer], attempts: int) -> Answer:
        mine, other = socket.socketpair()
        with mine:
            with other:
                self._raise_if_cancelled()
                self._started = True
                self._reader.order("open", self._number, other)
            mine.settimeout(self._reader.seconds + GRACE_SECONDS)
            try:
                self._ask(mine)
                facts = wire.receive_facts(mine)
            except (EOFError, OSError):
                # Where it was the reader that died, and not the process that it forked, nothing has been tried yet.
                if attempts == 1 or not self._reader.died():
                    raise
                return self._answer(receive, attempts - 1)
            if "refused" in facts:
                raise ScanError(str(facts["refused"]))
            return receive(mine, facts)

    def _ask(self, connection: socket.socket) -> None:
        reader, source = self._reader, self._source
        request = self._request | {"memory": reader.memory, "seconds": reader.seconds}
        if isinstance(source, Path):
            wire.send_facts(connection, request | {"path": os.path.abspath(source)})
            return
        content = SharedMemory.of(source)
        wire.send_facts(connection, request | {"path": "", "size": content.length})
        content.send(connection)

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise ScanError(f"'{self._name}' is no longer being opened: open it again.")

    def _why(self, seconds: float) -> str:
        if seconds >= self._reader.seconds:
            return (
                f"'{self._name}' takes longer than {self._reader.seconds:.0f} s to open: make it smaller or split it."
            )
        return f"'{self._name}' could not be opened, as it is damaged or unusual: export it again."
