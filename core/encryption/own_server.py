"""The app's own encryption server: a process of its own, started when first needed and again where it died."""

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from core.encryption.exchange import ServiceError

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 1.0


class _Process(NamedTuple):
    process: subprocess.Popen[bytes]
    address: str


class OwnServer:
    """`python -m core.encryption.server` on a free port of this machine; it ends with this process."""

    def __init__(self) -> None:
        self._started: _Process | None = None
        self._lock = threading.Lock()
        atexit.register(self.stop)

    @property
    def pid(self) -> int | None:
        """Return its process id, None where none runs."""
        started = self._started
        return started.process.pid if started and started.process.poll() is None else None

    @property
    def address(self) -> str:
        """Return where it is asked, http://host:port; it is started first."""
        with self._lock:
            if self._started is None or self._started.process.poll() is not None:
                self._started = _start()
            return self._started.address

    def died(self) -> bool:
        """Return whether it was started and is no more; a process takes a moment to end."""
        started = self._started
        if started is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(END_SECONDS)
        return started.process.poll() is not None

    def stop(self) -> None:
        """End it."""
        with self._lock:
            if self._started is not None:
                self._started.process.kill()
                self._started.process.communicate()
                self._started = None


def _start() -> _Process:
    process = subprocess.Popen(
        [sys.executable, "-m", "core.encryption.server", "--with-parent"],
        cwd=ROOT,
        # One thread: SEAL uses no more, and OpenMP's would spin beside the app's own.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    address = process.stdout.readline().decode().strip()
    if not address:
        process.kill()
        process.communicate()
        raise ServiceError("The encryption server can't be started on this machine; start one and give its address.")
    return _Process(process, address)
