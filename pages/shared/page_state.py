"""What a page keeps of one visitor's work, and the one job that runs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pages.shared.jobs import Job
from pages.shared.runtime import Worker, engine


@dataclass(kw_only=True)
class PageState:
    """Kept by `Session.keep`, so that memory stays flat: one of a kind.

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
    def running(self) -> bool:
        """Whether more steps are to come."""
        return self.job is not None and not self.job.done

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
        take: Callable[[Any], object] = lambda step: None,
        *,
        doing: object = None,
        total: int = 1,
        worker: Worker | None = None,
    ) -> None:
        """Advance `steps` in the background, and drop what ran before. `take` is given each step, in the worker."""
        self.stop()
        self.doing, self.total = doing, total
        self.job = Job(worker or engine().worker, steps, take)
        self.job.start()

    def outlives(self, attacked_copy: bool) -> bool:
        """Whether it is still of use when another scan is put on the table, maybe the attacked copy of the last one."""
        return False
