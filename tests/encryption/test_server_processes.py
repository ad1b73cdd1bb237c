"""The server's processes: who is served meanwhile, and what happens when one of them dies."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from core.encryption import Head, PredictionSession, Server, open_session, worker_process
from core.encryption.parameters import PRESETS
from core.encryption.server import serve
from core.encryption.session_store import SessionStore
from tests.encryption.raw_requests import token

ROOT = Path(__file__).resolve().parents[2]
LINEAR = PRESETS["linear"]


def test_another_client_is_served_while_one_is_worked_on(server, heads, opened):
    with open_session(LINEAR, heads["linear"], server) as other:
        # The two have a worker each. Whose it is shows by stopping one, as a long computation would.
        served = []
        # Sent beforehand: a head is checked by any worker that is free, and the stopped one would seem to be.
        server.send_head(heads["linear"].to_bytes())
        for worker in server.health()["workers"]:
            os.kill(worker, signal.SIGSTOP)
            asking = [asked_in_background(session, heads["linear"]) for session in (opened, other)]
            served.append(first_ended(asking))
            os.kill(worker, signal.SIGCONT)
            for thread in asking:
                thread.join(timeout=30)
        assert sorted(served) == [0, 1]


def asked_in_background(opened: PredictionSession, head: Head) -> Thread:
    """Return the thread that asks for a prediction."""
    thread = Thread(target=opened.session.predict, args=(head, opened.client.encrypt(token())))
    thread.start()
    return thread


def first_ended(threads: list[Thread]) -> int:
    """Return which thread ended first."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for index, thread in enumerate(threads):
            if not thread.is_alive():
                return index
        time.sleep(0.01)
    raise AssertionError("Nobody was served while one worker was busy.")


def test_a_worker_that_dies_is_started_again(server, heads, opened):
    for worker in server.health()["workers"]:
        os.kill(worker, signal.SIGKILL)
    answer = opened.session.predict(heads["linear"], opened.client.encrypt(token()))
    assert opened.client.decrypt(answer.body) == pytest.approx(heads["linear"].logits(token()), abs=LINEAR.precision)


def test_a_server_that_dies_is_started_again(heads):
    server = Server()
    try:
        with open_session(LINEAR, heads["linear"], server) as opened:
            before = server.pid
            os.kill(before, signal.SIGKILL)
            answer = opened.session.predict(heads["linear"], opened.client.encrypt(token()))
            assert server.pid not in (None, before) and opened.client.decrypt(answer.body).shape == (3,)
    finally:
        server.stop()
    assert server.pid is None


PARENT = """
import os, sys, time
from core.encryption import Server
server = Server()
print(server.health()["workers"], server.pid, flush=True)
time.sleep(60)
"""


def test_the_server_and_its_workers_end_with_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        numbers = [int(number) for number in parent.stdout.readline().translate(str.maketrans("[],", "   ")).split()]
        assert len(numbers) == 3 and all(runs(number) for number in numbers)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert all_end(numbers)


def all_end(processes: list[int]) -> bool:
    """Return whether all of these processes end within a while."""
    end = time.monotonic() + 20
    while any(runs(process) for process in processes) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(runs(process) for process in processes)


def runs(process: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_told_to_end_says_nothing_and_takes_its_workers_with_it(kind):
    command = [sys.executable, "-m", "core.encryption.server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        workers = Server(process.stdout.readline().strip()).health()["workers"]
        process.send_signal(kind)
        out, complaint = process.communicate(timeout=20)
    assert (out, complaint) == ("", "") and all_end(workers)


def test_a_port_that_is_taken_is_said_in_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "core.encryption.server", "--port", str(port)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2 and not ended.stdout
    assert f"port {port} can't be used; choose another" in ended.stderr and "Traceback" not in ended.stderr


def test_workers_that_cant_be_started_are_said_in_one_sentence(monkeypatch):
    monkeypatch.setattr(worker_process.sys, "executable", "/bin/false")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(SystemExit, match="^The server's workers can't be started; .*\\.$"):
            asyncio.run(serve(listener, SessionStore()))


@pytest.mark.slow
@pytest.mark.parametrize("module, heavy", [("server", ["torch", "tenseal", "numpy"]), ("worker", ["torch"])])
def test_a_process_imports_no_more_than_it_needs(module, heavy):
    code = f"import sys; import core.encryption.{module}; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
