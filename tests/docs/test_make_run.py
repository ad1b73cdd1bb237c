"""`make run` says where the app is when it is there, and one sentence where the port is taken."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make_run(port: int) -> subprocess.Popen:
    """Start `make run` with the Python that runs the tests."""
    command = ["make", "--old-file=.venv/app", "run", f"PORT={port}", f"PY={sys.executable}"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_a_taken_port_gets_one_sentence_and_no_address():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        said = make_run(number).communicate(timeout=60)[0]
    sentences = [line for line in said.splitlines() if not line.startswith("make")]
    assert sentences == [f"Port {number} is not free: stop what uses it, or take another: make run PORT=8600"]


@pytest.mark.slow
def test_the_address_is_said_once_it_answers():
    port = free_port()
    process = make_run(port)
    try:
        lines = iter(process.stdout.readline, "")
        said = next(line for line in lines if f"http://127.0.0.1:{port}" in line)
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=20).close()
        assert said
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """Stop make and the server that it started."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
