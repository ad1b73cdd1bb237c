"""What a page keeps of one visitor's work, and the one job that runs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pages.shared.jobs import Job
from pages.shared.runtime import Worker, engine

STOP_SECONDS = 1.0
S = TypeVar("S", bound="PageState")


@dataclass(kw_only=True)
class PageState:
    """Kept by `StateKeeper.keep`, so that memory stays flat: one of a kind.

    Attributes
    ----------
    choices : tuple
        Everything that it depends on: of other choices it tells nothing.
    job : Job or None
        What runs, or ran last.
    doing : object
        Which of the page's jobs that is.
    total : int
        How many steps it takes at most.
    """

    choices: tuple[object, ...]
    job: Job[Any] | None = field(default=None, repr=False)
    doing: object = None
    total: int = 1

    @property
    def begun(self) -> Job[Any]:
        """The job, which has been started."""
        assert self.job is not None
        return self.job

    @property
    def running(self) -> bool:
        """Whether more steps are to come."""
        return self.job is not None and not self.job.done

    @property
    def abandoned(self) -> bool:
        """Whether the job ended before its time, as nobody watched it."""
        return self.job is not None and self.job.done and self.job.abandoned

    def is_doing(self, doing: object) -> bool:
        """Whether this is what runs."""
        return self.running and self.doing == doing

    def stop(self) -> None:
        """Stop what runs, within a step."""
        if self.job:
            self.job.stop()

    def start(
        self,
        steps: Iterator[Any],
        take: Callable[[Any], None] = lambda step: None,
        *,
        doing: object = None,
        total: int = 1,
        worker: Worker | None = None,
    ) -> None:
        """Advance `steps` in the background, and drop what ran before. `take` is given each step, in the worker."""
        self.stop()
        self.doing, self.total = doing, total
        # The log knows a job by its page: what is done there is a visitor's own matter.
        page = type(self).__module__.split(".")[1]
        self.job = Job(worker or engine().worker, steps, take, page)
        self.job.start()

    def outlives(self, attacked_copy: bool) -> bool:
        """Whether it is still of use when another scan is opened, maybe the attacked copy of the last one."""
        return False


@dataclass(kw_only=True)
class StateKeeper:
    """Keeps one state of each kind.

    Attributes
    ----------
    states : dict
        Kind of state → the one of that kind.
    """

    states: dict[type[PageState], PageState] = field(default_factory=dict)

    def keep(self, state: S) -> S:
        """Keep a page's state in place of the last one of its kind, which is stopped."""
        self.drop(type(state))
        self.states[type(state)] = state
        return state

    def drop(self, kind: type[PageState]) -> None:
        """Stop and forget a page's state."""
        if state := self.states.pop(kind, None):
            state.stop()

    def state_of(self, kind: type[S]) -> S | None:
        """A page's state, if any."""
        state = self.states.get(kind)
        return state if isinstance(state, kind) else None

    def current(self, kind: type[S], choices: tuple[object, ...]) -> S | None:
        """A page's state, if any; one of what is no longer chosen is stopped and forgotten."""
        state = self.state_of(kind)
        if state is None or state.choices != choices:
            self.drop(kind)
            return None
        if state.job and state.job.stopped:
            state.job.wait(STOP_SECONDS)  # it is at its last step: not worth drawing it as running once more
        return state

    def forget_states(self, attacked_copy: bool) -> None:
        """Drop what is of no use for another scan, maybe the attacked copy of the last one."""
        for kind, state in list(self.states.items()):
            if not state.outlives(attacked_copy):
                self.drop(kind)
