"""Looks after the memory of the networks that all visitors share."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core import Bundle
    from core.faults import Sentry
    from pages.shared.worker import Worker

LOG = logging.getLogger("purescan")
PAUSE_SECONDS = 0.5
LEG_MS = 5.0


class Patrol:
    """A sentry for each bundle that is loaded, and a clock that has all of them walk a leg twice a second.

    They walk in the worker, where nothing else uses the networks meanwhile.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.sentries: dict[str, Sentry] = {}

    def take_over(self, key: str, models: Bundle) -> Bundle:
        """Look after a bundle that has just been loaded, and whose files have been checked; the bundle."""
        from core.faults import Sentry

        self.sentries[key] = Sentry(models)
        return models

    def start(self) -> None:
        """Begin to walk, until this patrol is forgotten or the process ends."""
        threading.Thread(target=_keep_walking, args=(weakref.ref(self),), name="patrol", daemon=True).start()

    def walk(self) -> None:
        """One leg of every sentry's."""
        for sentry in list(self.sentries.values()):
            sentry.walk(LEG_MS)


def _keep_walking(kept: weakref.ref[Patrol]) -> None:
    while patrol := kept():
        try:
            leg = patrol.worker.submit_aside(patrol.walk)
        except RuntimeError:
            return  # the process is ending, and the worker takes nothing more
        if error := leg.exception():
            LOG.error("The patrol can't go on.", exc_info=error)
            return
        del patrol, leg  # so that it can be forgotten while this thread sleeps
        time.sleep(PAUSE_SECONDS)
