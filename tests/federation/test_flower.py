"""Federations between real processes: what comes of one, and what becomes of it when one of them is killed."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from core.federation.coordinator import Coordinator, FederationError
from core.federation.flower.keys import write_certificates, write_site_keys
from core.federation.flower.runner import APP, Keys, Runner
from core.federation.in_process import hold_rounds
from tests.federation.hospitals import NAMES, hospitals, plan

pytestmark = pytest.mark.slow
DEADLINE = 240


class Federation:
    """A run in a thread, whose sites the test may hold and kill."""

    def __init__(self, folder, the_plan, names=NAMES, app=APP):
        self.folder, self.events, self.report, self.failed = folder, [], None, None
        for name in ("keys", *names):
            (folder / name).mkdir()
        server = write_certificates(folder / "keys", ["127.0.0.1"], 1)
        pairs = {name: write_site_keys(folder / "keys", name) for name in names}
        keys = Keys(server.authority, server.certificate, server.key, {name: pair[1] for name, pair in pairs.items()})
        program = [sys.executable, "-m", "tests.federation.small_site"]
        commands = {
            name: [*program, name, str(folder / name), "{server}", str(server.authority), str(pairs[name][0])]
            for name in names
        }
        self.runner = Runner(the_plan, folder / "out", keys, commands, len(names), told=self.events.append, app=app)
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.report = self.runner.run()
        except FederationError as error:
            self.failed = str(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        for name in self.runner.commands:
            self.release(name)
        self.thread.join(DEADLINE)

    def hold(self, name):
        (self.folder / name / "hold").touch()

    def release(self, name):
        (self.folder / name / "hold").unlink(missing_ok=True)

    def trained(self, name):
        path = self.folder / name / "trained"
        return path.read_text().splitlines() if path.is_file() else []

    def wait(self, what):
        end = time.monotonic() + DEADLINE
        while not what():
            assert self.thread.is_alive() and time.monotonic() < end, self.failed or self.events
            time.sleep(0.05)

    def kill(self, name):
        os.kill(self.runner.processes[name], signal.SIGKILL)

    def connected(self, name):
        """How often a site has reached the server."""
        return (self.folder / "out" / f"{name}.log").read_text().count("SuperNode ID:")

    @property
    def shared(self):
        state = load_file(self.folder / "out" / "federation.safetensors")
        return {name.removeprefix("shared/"): value for name, value in state.items()}


def left_over(folder):
    """Command lines of processes that name this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def in_process(the_plan, names=NAMES):
    coordinator = Coordinator(the_plan)
    list(hold_rounds(coordinator, hospitals(names)))
    return coordinator.shared


def furthest(first, second):
    return max((first[name].double() - second[name].double()).abs().max().item() for name in first)


def test_a_run_is_that_in_one_process_runs_no_code_of_the_servers_and_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    trace = tmp_path / "trace"
    evil = f"open({str(trace)!r}, 'w').close()\nfrom flwr.clientapp import ClientApp\napp = ClientApp()\n".encode()
    app = {"pyproject.toml": APP["pyproject.toml"].replace(b"none", b"evil"), "evil.py": evil}
    with Federation(tmp_path, plan(rounds=2), app=app) as federation:
        pass
    assert federation.report and federation.report["finished"] and federation.report["failed"] is None
    assert [list(each["took_part"]) for each in federation.report["rounds"]] == [list(NAMES)] * 3
    assert furthest(in_process(plan(rounds=2)), federation.shared) <= 1e-6
    assert not trace.exists()
    assert not left_over(tmp_path) and not list((tmp_path / "temporary").iterdir())


def test_a_site_that_is_killed_in_a_round_is_named_and_comes_back(tmp_path):
    """Amsel is held in the second round until Birke is there again, so that the third has both."""
    with Federation(tmp_path, plan(rounds=3, least=1), NAMES[:2]) as federation:
        federation.hold("Birke")
        federation.wait(lambda: "Test/experts/0" in federation.trained("Birke") and federation.trained("Amsel"))
        federation.hold("Amsel")
        federation.kill("Birke")
        federation.release("Birke")
        federation.wait(lambda: federation.connected("Birke") == 2)
        federation.release("Amsel")
    assert federation.report and federation.report["finished"]
    rounds = federation.report["rounds"]
    assert rounds[0]["absent"] == {"Birke": "It went away during the round."}
    assert list(rounds[0]["took_part"]) == ["Amsel"]
    assert [list(each["took_part"]) for each in rounds[2:]] == [["Amsel", "Birke"]] * 2
    assert "Birke" in federation.report["started_again"]
    assert not left_over(tmp_path)


def test_a_server_that_is_killed_goes_on_from_its_last_round_and_nothing_is_trained_twice(tmp_path):
    with Federation(tmp_path, plan(rounds=2), NAMES[:2]) as federation:
        federation.wait(lambda: federation.events)
        federation.hold("Amsel")
        federation.wait(lambda: len(federation.trained("Amsel")) > len(federation.events))
        federation.kill("server")
        federation.wait(lambda: {"again": "server"} in federation.events)
        federation.release("Amsel")
    assert federation.report and federation.report["finished"]
    expected = ["Test/experts/0", "Test/experts/1", "Test/result/0"]
    assert [federation.trained(name) for name in NAMES[:2]] == [expected] * 2
    assert furthest(in_process(plan(rounds=2), NAMES[:2]), federation.shared) <= 1e-6
    assert not left_over(tmp_path)


def test_a_run_that_fails_says_so(tmp_path):
    federation = Federation(tmp_path, plan(), NAMES[:2])
    for name in NAMES[:2]:
        (tmp_path / name / "policy.json").write_text('{"strategies": ["fedbn"]}')
    with federation:
        pass
    assert federation.report is None
    assert "Amsel: This site takes no part in the strategy fedavg." in federation.failed
    assert not left_over(tmp_path)
