"""Looks after the memory of the networks that all visitors share."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core import Bundle
    from core.faults import BundleScrubber
    from pages.shared.worker import Worker

LOG = logging.getLogger("purescan")
PAUSE_SECONDS = 0.5
BUDGET_MS = 5.0


class MemoryScrubber:
    """Scrubs every bundle that is loaded, a few tensors twice a second.

    It does so in the worker, where nothing else uses the networks meanwhile.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.bundles: dict[str, BundleScrubber] = {}

    def watch_over(self, key: str, models: Bundle) -> Bundle:
        """Look after a bundle that has just been loaded, and whose files have been checked; the bundle."""
        from core.faults import BundleScrubber

        self.bundles[key] = BundleScrubber(models)
        return models

    def forget(self, key: str) -> None:
        """Look no more after a bundle that is served no more: it would be held in memory."""
        self.bundles.pop(key, None)

    def start(self) -> None:
        """Begin, until this scrubber is forgotten or the process ends."""
        threading.Thread(target=_keep_scrubbing, args=(weakref.ref(self),), name="memory-scrubber", daemon=True).start()

    def scrub(self) -> None:
        """Check the next tensors of every bundle."""
        for scrubber in list(self.bundles.values()):
            scrubber.scrub(BUDGET_MS)


def _keep_scrubbing(kept: weakref.ref[MemoryScrubber]) -> None:
    while scrubber := kept():
        try:
            turn = scrubber.worker.submit_aside(scrubber.scrub)
        except RuntimeError:
            return  # the process is ending, and the worker takes nothing more
        if error := turn.exception():
            LOG.error("The memory scrubber can't go on.", exc_info=error)
            return
        del scrubber, turn  # so that it can be forgotten while this thread sleeps
        time.sleep(PAUSE_SECONDS)
