"""A whole federation in one process: what Flower's processes do, without them."""

import time
from collections.abc import Collection, Iterator, Sequence

from core.federation.coordinator import Coordinator, Round
from core.federation.site import Site


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
