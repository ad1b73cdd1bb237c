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
from pathlib import Path

from core.scans import limits, wire
from core.scans.scan import Scan, ScanError

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 5.0
"""How much longer than its time a process may take to end, before it is taken for lost."""

END_SECONDS = 0.2

Source = bytes | memoryview | Path


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

    def begin(self, source: Source, name: str) -> Opening:
        """Return the opening of a file, which can be cancelled.

        Parameters
        ----------
        source : bytes, memoryview or Path
            The content of a file, or the path of a file or a folder.
        name : str
            Name of the scan.
        """
        return Opening(self, source, name, next(self._numbers))

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

    def __init__(self, reader: Reader, source: Source, name: str, number: int) -> None:
        self._reader, self._source, self._name, self._number = reader, source, name, number
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
        while not self._reader.places.acquire(timeout=0.1):
            self._raise_if_cancelled()
        start = time.monotonic()
        try:
            return self._answer(attempts=2)
        except ScanError:
            raise
        except MemoryError as error:
            raise ScanError(limits.TOO_MUCH_MEMORY.format(self._name)) from error
        except Exception as error:
            self._raise_if_cancelled()
            raise ScanError(self._why(time.monotonic() - start)) from error
        finally:
            self._reader.places.release()

    def _answer(self, attempts: int) -> Scan:
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
                return self._answer(attempts - 1)
            if "refused" in facts:
                raise ScanError(str(facts["refused"]))
            return wire.receive_scan(mine, facts)

    def _ask(self, connection: socket.socket) -> None:
        path, content = "", memoryview(b"")
        if isinstance(self._source, Path):
            path = os.path.abspath(self._source)
        else:
            content = memoryview(self._source)
        reader = self._reader
        request = {"name": self._name, "path": path, "size": len(content)}
        wire.send_facts(connection, request | {"memory": reader.memory, "seconds": reader.seconds})
        connection.sendall(content)

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise ScanError(f"'{self._name}' is no longer being opened: open it again.")

    def _why(self, seconds: float) -> str:
        if seconds >= self._reader.seconds:
            return (
                f"'{self._name}' takes longer than {self._reader.seconds:.0f} s to open: make it smaller or split it."
            )
        return f"'{self._name}' could not be opened, as it is damaged or unusual: export it again."
