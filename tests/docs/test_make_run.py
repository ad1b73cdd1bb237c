"""`make run` says where the app is when it is there, and one sentence where it can't be there."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.app_server import START_SECONDS
from tests.port import trouble

ROOT = Path(__file__).resolve().parents[2]


def make_run(port: int | str) -> subprocess.Popen:
    """Start `make run` with the Python that runs the tests."""
    command = ["make", "--old-file=.venv/app", "run", f"PORT={port}", f"PY={sys.executable}"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def sentences(port: int | str) -> list[str]:
    """Return what `make run` says where it ends at once, less make's own lines."""
    said = make_run(port).communicate(timeout=60)[0]
    return [line for line in said.splitlines() if not line.startswith("make")]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_a_taken_port_gets_one_sentence_and_no_address():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        said = sentences(number)
    assert said == [f"Port {number} is not free: stop what uses it, or take another: make run PORT=8600"]


@pytest.mark.parametrize("port", ["abc", "", "0", "65536", "-1", "8501.0", "85 01", "'8501", '";echo ', "٨٥"])
def test_what_is_no_port_gets_one_sentence(port: str):
    assert sentences(port) == ["PORT must be a number from 1 to 65535, as in: make run PORT=8600"]


def test_a_port_that_only_the_system_may_take_is_not_called_taken(monkeypatch: pytest.MonkeyPatch):
    def refuse(address: tuple[str, int]) -> socket.socket:
        raise PermissionError(address)

    monkeypatch.setattr(socket, "create_server", refuse)
    assert "kept for the system" in str(trouble("80"))


@pytest.mark.slow
def test_the_address_is_said_once_it_answers():
    port = free_port()
    process = make_run(port)
    stopped = threading.Timer(START_SECONDS, end, [process])  # or what says nothing would be read for ever
    stopped.start()
    try:
        lines = iter(process.stdout.readline, "")
        said = next(line for line in lines if f"http://127.0.0.1:{port}" in line)
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=20).close()
        assert said
    finally:
        stopped.cancel()
        end(process)


def end(process: subprocess.Popen) -> None:
    """Stop make and the server that it started; they may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
