"""A small federation of invented hospitals between real processes on this machine, to be watched, stopped, and robbed
of a node. The scans are made up: an oval of tissue, with a bright spot where there is a tumour."""

import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.federation.coordinator import FederationError
from core.federation.flower import check_installed
from core.federation.flower.runner import Runner
from core.federation.hospitals import PROFILES, Hospital, site_look
from core.federation.plan import Plan

NAMES = tuple(profile["name"] for profile in PROFILES)
ROUNDS = 3
SCANS = 64
SIDE = 128
SEED = 0
POLL_SECONDS = 0.25


class Rehearsal:
    """One such federation; it begins when its `steps` are asked for.

    Attributes
    ----------
    plan : Plan
        A narrow network at a quarter of the resolution; a round goes on without one of the three sites.
    """

    def __init__(self, rounds: int = ROUNDS):
        check_installed()
        self.plan = Plan("rehearsal", rounds=rounds, steps=40, batch=16, lr=0.05, width=8, shrink=4, least=2)
        self._runner: Runner | None = None
        self._ended = threading.Event()

    def steps(self) -> Iterator[dict[str, Any] | None]:
        """Run the federation, and yield what happens, as `Runner.told` hears it; None where nothing does for a while.

        Closing it, or its end, ends every process.

        Raises
        ------
        FederationError
            It can't go on; one sentence.
        """
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        thread = threading.Thread(target=self._run, args=(events,), name="rehearsal", daemon=True)
        thread.start()
        try:
            while True:
                try:
                    event = events.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    return
                yield event
        finally:
            self._ended.set()
            thread.join()

    def kill(self, name: str) -> bool:
        """End a site's process at once, as a power cut would; it is started again some seconds later.

        Returns
        -------
        bool
            Whether there was one to end.
        """
        return self._runner is not None and self._runner.kill(name)

    def running(self) -> dict[str, int]:
        """Name → number of every process that was started last."""
        return dict(self._runner.processes) if self._runner else {}

    def _run(self, events: "queue.SimpleQueue[Any]") -> None:
        from core.federation.flower.local import local_runner

        try:
            with tempfile.TemporaryDirectory(prefix="purescan-rehearsal-") as name:
                folder = Path(name)
                write_scans(folder / "scans.npz")
                with local_runner(self.plan, folder / "out", _commands(folder)) as runner:
                    runner.stop, runner.told, self._runner = self._ended, events.put, runner
                    runner.run()
            events.put(None)
        except Exception as error:  # it belongs to whoever asks for the steps
            events.put(error if isinstance(error, FederationError) else FederationError(f"It can't run here: {error}"))


def example_scans() -> dict[str, np.ndarray]:
    """Site → (1, SIDE, SIDE) one scan with a tumour in [0, 1], the same for all, as the site's scanner shows it."""
    generator = torch.Generator().manual_seed(SEED)
    pixels, _ = made_scans(2, generator)
    hospitals = [Hospital(indices=(), **profile) for profile in PROFILES]
    return {each.name: site_look(pixels[1:], each, generator)[0].numpy() for each in hospitals}


def write_scans(path: Path) -> None:
    """Write made-up scans of three invented hospitals, each as its scanner shows them, as a data set."""
    hospitals = [Hospital(indices=(), **profile) for profile in PROFILES]
    generator, found = torch.Generator().manual_seed(SEED), []
    for hospital in hospitals:
        pixels, labels = made_scans(SCANS, generator)
        found.append((site_look(pixels, hospital, generator), labels))
    images = torch.cat([pixels for pixels, _ in found])[:, 0]
    count = len(images)
    np.savez(
        path,
        image=(255 * images).round().byte().numpy(),
        label=torch.cat([labels for _, labels in found]).byte().numpy(),
        group=np.arange(count),
        split=np.zeros(count, np.uint8),
        site=np.repeat(NAMES, SCANS),
    )


def made_scans(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(count, 1, SIDE, SIDE) pixels in [0, 1] and (count,) labels: every other one has a bright spot, a tumour."""
    across = torch.linspace(-1, 1, SIDE)
    up, right = torch.meshgrid(across, across, indexing="ij")
    labels = torch.arange(count) % 2
    places = 0.35 * (2 * torch.rand((2, count, 1, 1), generator=generator) - 1)
    spots = 0.5 * torch.exp(-((up - places[0]) ** 2 + (right - places[1]) ** 2) / 0.02)
    tissue = 0.35 + 0.05 * torch.randn((count, SIDE, SIDE), generator=generator)
    inside = (up / 0.85) ** 2 + (right / 0.65) ** 2 < 1
    return ((tissue + spots * labels[:, None, None]) * inside).clamp(0, 1)[:, None], labels


def _commands(folder: Path) -> dict[str, list[str]]:
    program = [sys.executable, "-m", "core", "federate", "site"]
    options = ["--data", str(folder / "scans.npz"), "--split", "all", "--with-parent"]
    return {
        name: [*program, name, "--of", name, *options, "--out", str(folder / "sites" / str(place))]
        for place, name in enumerate(NAMES)
    }
