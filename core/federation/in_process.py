"""A whole federation in one process: what Flower's processes do, without them."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.federation.coordinator import Coordinator, FederationError, Round, read_start
from core.federation.encrypted import keep_key, read_key
from core.federation.plan import Plan
from core.federation.report import write_failure, write_report
from core.federation.site import Site


@dataclass
class InProcess:
    """A federation that needs no other process, to be run like one that does.

    Attributes
    ----------
    plan, out, start, told
        As of `core.federation.flower.runner.Runner`.
    sites : sequence of Site
        The hospitals; each remembers its part in a folder of its own under `out`.
    """

    plan: Plan
    out: Path
    sites: Sequence[Site]
    start: Path | None = None
    told: Callable[[dict[str, Any]], None] = lambda event: None

    def run(self) -> dict[str, Any]:
        """Hold the rounds that are left, and return the report; FederationError where it can't go on."""
        try:
            coordinator = Coordinator(self.plan, read_start(self.plan, self.start) if self.start else {}, self.out)
        except FederationError as error:
            write_failure(self.out, self.plan, str(error))
            raise
        key = read_key(keep_key(self.out)) if self.plan.how.encrypted else None
        for place, site in enumerate(self.sites):
            site.folder, site.key = self.out / "sites" / str(place), key
        # Before the first round and after each: who is killed has no time left to say what this federation is called.
        self._report(coordinator)
        try:
            for held in hold_rounds(coordinator, self.sites):
                self._report(coordinator)
                self.told(asdict(held))
        except FederationError as error:
            self._report(coordinator, str(error))
            raise
        return self._report(coordinator)

    def _report(self, coordinator: Coordinator, failed: str | None = None) -> dict[str, Any]:
        report = coordinator.report() | {"failed": failed, "started_again": []}
        write_report(self.out, report)
        return report


def hold_rounds(
    coordinator: Coordinator, sites: Sequence[Site], away: dict[int, Collection[str]] | None = None
) -> Iterator[Round]:
    """Hold the rounds that are left, one after another.

    Parameters
    ----------
    coordinator : Coordinator
        Which plan, and where it stands.
    sites : sequence of Site
        The hospitals.
    away : dict of int to collection of str, optional
        Round, counted over all phases from 0 → who takes no part in it.

    Raises
    ------
    FederationError
        Too few hospitals take part.
    """
    while not coordinator.finished:
        missing = (away or {}).get(coordinator.done, ())
        counts = {site.name: len(site.labels) for site in sites}
        order, content, start = coordinator.order(counts), coordinator.content(), time.perf_counter()
        answers, absent = {}, {name: "It was away." for name in missing}
        for site in sites:
            if site.name in missing:
                continue
            try:
                answers[site.name] = site.answer(order, content, len(sites) - 1)
            except ValueError as error:
                absent[site.name] = str(error)
        yield coordinator.close(order, answers, absent, time.perf_counter() - start)
