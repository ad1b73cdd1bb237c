"""A federation from its first process to its last: what it starts it watches, starts again, and takes away."""

import contextlib
import json
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.federation.coordinator import FederationError
from core.federation.flower import check_installed
from core.federation.flower.processes import Process, free_port, own_threads, quiet_flower
from core.federation.flower.superlink import FAILED, TASK
from core.federation.plan import Plan
from core.federation.report import read_report, write_failure, write_report
from core.storage import write_secret

ROOT = Path(__file__).resolve().parents[3]
LOOPBACK = "127.0.0.1"
BAD_INPUT = 2
MOST_STARTS = 10
STARTING = 180.0
PAUSE = 3.0
STOPPED = "It was stopped."
APP = {
    "pyproject.toml": b"""[project]
name = "purescan"
version = "1.0.0"
[tool.flwr.app]
publisher = "purescan"
[tool.flwr.app.components]
serverapp = "none:app"
clientapp = "none:app"
"""
}
"""Flower starts no run without an app. This one holds no code: each side runs its own, see `tasks`."""


@dataclass(frozen=True)
class Keys:
    """Files by which a server and its sites know one another.

    Attributes
    ----------
    authority, certificate, key : Path
        The server's, see `ServerFiles`.
    sites : mapping of str to Path
        Site → its public key.
    """

    authority: Path
    certificate: Path
    key: Path
    sites: Mapping[str, Path]


@dataclass
class Runner:
    """Runs one federation.

    Attributes
    ----------
    plan : Plan
        What is federated.
    out : Path
        Where the report and the federation's state lie; one that holds a federation of the same plan goes on.
    keys : Keys
        Certificates and the sites' public keys.
    commands : mapping of str to sequence of str
        Site → the command of its process, for sites on this machine; the others come by themselves. `{server}` in it
        becomes the server's address.
    expected : int
        Sites that the first round waits for.
    start : Path or None
        Weights to begin with, as safetensors.
    host, port
        Where the server listens; port 0 is any that is free.
    told : callable
        Hears of everything that happens: a round that was held, a process that ended and begins again.
    app : mapping of str to bytes
        Path → content of the app that Flower ships with the run; nothing of it is run on either side.
    processes : dict of str to int
        Name → process number, of what was started last.
    stop : Event
        Set from another thread, it ends the run and every process of it.
    """

    plan: Plan
    out: Path
    keys: Keys
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    expected: int = 0
    start: Path | None = None
    host: str = LOOPBACK
    port: int = 0
    told: Callable[[dict[str, Any]], None] = lambda event: None
    app: Mapping[str, bytes] = field(default_factory=lambda: APP)
    processes: dict[str, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    _sites: list[Process] = field(default_factory=list)
    _again: list[str] = field(default_factory=list)
    _why: str = ""

    def run(self) -> dict[str, Any]:
        """Run the federation to its end, and return its report, which lies in `out` as well.

        Raises
        ------
        FederationError
            It can't go on, a process keeps ending, or it was stopped; one sentence. The report says so too.
        """
        check_installed()
        self.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="purescan-federation-") as name:
            folder, processes = Path(name), contextlib.ExitStack()
            quiet_flower(folder)
            try:
                with processes:
                    self._run(folder, processes)
            except (FederationError, KeyboardInterrupt) as error:
                write_failure(self.out, self.plan, str(error) or STOPPED, self._again)
                raise
        report = read_report(self.out) | {"failed": None, "started_again": self._again}
        write_report(self.out, report)
        return report

    def kill(self, name: str) -> bool:
        """End the process of a site on this machine at once; whether there was one to end."""
        return any(site.kill() for site in self._sites if site.name == name)

    def _run(self, folder: Path, stack: contextlib.ExitStack) -> None:
        secret = folder / "secret"
        write_secret(secret, secrets.token_bytes(32))
        self.port = self.port or free_port()
        environment = {
            "FLWR_HOME": str(folder),
            "TMPDIR": str(folder),
            "PYTHONPATH": str(ROOT),
            **own_threads(len(self.commands)),
        }
        program = [sys.executable, "-m", "core.federation.flower.superlink"]
        address = f"{LOOPBACK if self.host == '0.0.0.0' else self.host}:{self.port}"
        options = ["--ssl-ca-certfile", str(self.keys.authority), "--ssl-certfile", str(self.keys.certificate)]
        options += ["--ssl-keyfile", str(self.keys.key), "--enable-supernode-auth", "--host", self.host]
        options += ["--port", str(self.port), "--isolation", "process", "--database", str(folder / "state.db")]
        options += ["--superexec-auth-secret-file", str(secret)]
        self._link = Process("server", [*program, "link", *options], self.out / "server.log", environment)
        self._coordinator = Process(
            "coordinator", [*program, "coordinate", str(folder)], self.out / "coordinator.log", environment, True
        )
        self._sites = [
            Process(
                name,
                [part.replace("{server}", address) for part in command],
                self._log(name),
                environment,
            )
            for name, command in self.commands.items()
        ]
        everything = [*self._sites, self._coordinator, self._link]
        for each in everything:
            stack.callback(each.stop)
        # The last that the stack holds come first: all are told before any is waited for.
        for each in everything:
            stack.callback(each.tell_to_stop)
        # All load side by side; the sites wait until the server knows them.
        for site in self._sites:
            self._start(site)
        self._start_link(address)
        self._start_coordinator(folder, address)
        for site in self._sites:
            site.begin()
        while self._coordinator.status != 0:
            self._look(folder, address)
            self._pause()
        self._read()

    def _look(self, folder: Path, address: str) -> None:
        """See who has ended, and start them again."""
        self._read()
        if not self._link.running:
            self._coordinator.stop()
            self._note(self._link)
            self._start_link(address)
            self._start_coordinator(folder, address)
        elif self._coordinator.status not in (None, 0):
            if self._coordinator.status == FAILED:
                raise FederationError(self._why or "The federation failed.")
            self._note(self._coordinator)
            self._start_coordinator(folder, address)
        for site in self._sites:
            if site.running:
                site.ended = 0.0
            elif site.status == BAD_INPUT:
                raise FederationError(f"{site.name} can't take part: {site.last_words()}")
            elif not site.ended:
                self._note(site)
                site.ended = time.monotonic()
            elif time.monotonic() > site.ended + PAUSE:
                self._start(site)
                site.begin()

    def _read(self) -> None:
        for event in self._coordinator.lines():
            self._why = event.get("failed", "")
            self.told(event)

    def _log(self, name: str) -> Path:
        return self.out / f"{name.replace('/', '-')}.log"

    def _start(self, process: Process) -> None:
        process.start()
        assert process.popen is not None
        self.processes[process.name] = process.popen.pid

    def _note(self, process: Process) -> None:
        if process.starts >= MOST_STARTS:
            raise FederationError(f"{process.name} ended {process.starts} times: {process.last_words()}")
        self._again.append(process.name)
        self.told({"again": process.name})

    def _start_link(self, address: str) -> None:
        self._start(self._link)
        deadline = time.monotonic() + STARTING
        while not _listens(address):
            if not self._link.running or time.monotonic() > deadline:
                raise FederationError(f"The server doesn't start: {self._link.last_words()}")
            self._pause()

    def _pause(self) -> None:
        if self.stop.wait(0.1):
            raise FederationError(STOPPED)

    def _start_coordinator(self, folder: Path, address: str) -> None:
        from core.federation.flower.control import begin_run

        run = begin_run(address, self.keys.authority, self.keys.sites, self.app)
        task = {"plan": asdict(self.plan), "out": str(self.out), "start": str(self.start or ""), "run": run}
        task |= {"address": address, "certificates": str(self.keys.authority), "expected": self.expected}
        (folder / TASK).write_text(json.dumps(task), encoding="utf-8")
        self._start(self._coordinator)


def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False
