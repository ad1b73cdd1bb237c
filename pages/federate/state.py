"""The federation that runs live on the Federate page, and what has happened in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pages.shared.page_state import PageState
from pages.shared.worker import Worker

if TYPE_CHECKING:
    from core.federation.flower.rehearsal import Rehearsal
    from pages.shared.session import Session

BUSY = "Another visitor’s federation is running here, and one takes five processes; try again in a minute."
# One at a time for all visitors: each is five processes.
_TURN = threading.Lock()


@dataclass(kw_only=True)
class FederateState(PageState):
    """What is known of the live run.

    Attributes
    ----------
    rehearsal : Rehearsal or None
        The federation; None before the first.
    rounds : list of dict
        Those that were held, as `core.federation.coordinator.Round` has them.
    ended : list of str
        Whose process has ended and was, or is to be, started again, each as often as that.
    killed : list of str
        Those that the visitor ended, each as often as that.
    """

    rehearsal: Rehearsal | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Start a federation; ValueError, one sentence, where Flower is missing."""
        from core.federation.flower.rehearsal import Rehearsal

        self.rehearsal = Rehearsal()
        self.rounds, self.ended, self.killed = [], [], []
        # A worker of its own: other visitors' work must not wait for processes.
        self.start(_turned(self.rehearsal), self._take, total=self.rehearsal.plan.rounds + 1, worker=Worker())

    def kill(self, name: str) -> None:
        """End a site's process, as a power cut would; one that is down already isn't ended once more."""
        if self.rehearsal and self.running and self.rehearsal.kill(name):
            self.killed.append(name)

    def outlives(self, attacked_copy: bool) -> bool:
        """It depends on no scan."""
        return True

    def _take(self, event: dict[str, Any] | None) -> None:
        if event and "again" in event:
            self.ended.append(event["again"])
        elif event and "phase" in event:
            self.rounds.append(event)


def current_state(session: Session) -> FederateState:
    """The visitor's live run, or none yet."""
    return session.current(FederateState, ()) or session.keep(FederateState(choices=()))


def _turned(rehearsal: Rehearsal) -> Iterator[dict[str, Any] | None]:
    if not _TURN.acquire(blocking=False):
        raise ValueError(BUSY)
    try:
        yield from rehearsal.steps()
    finally:
        _TURN.release()
