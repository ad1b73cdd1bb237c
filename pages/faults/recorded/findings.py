"""What recorded figures say, as sentences: derived from the numbers, whatever these turn out to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pages.faults.words import measured, misses, network_title
from pages.shared.words import method_title, plain

if TYPE_CHECKING:
    from core.faults.record import CorruptionRow, ExpertRow, FlipRow, MapRow


def first_to_break(studies: Mapping[str, Sequence[FlipRow]]) -> str:
    """Which classifier has least accuracy left at the most flips that all were measured at, and whether that is sure.

    It is sure where its interval and that of the one with the most left don't overlap.
    """
    known = {name: [row for row in rows if row.accuracy is not None] for name, rows in studies.items()}
    shared = set.intersection(*({row.flips for row in rows} for rows in known.values()))
    if len(known) < 2 or not shared:
        return "There is nothing to compare: fewer than two classifiers were asked about these scans at the same flips."
    most = max(shared)
    ends = {name: next(row for row in rows if row.flips == most) for name, rows in known.items()}
    order = sorted(ends, key=lambda name: ends[name].accuracy)
    first, last = order[0], order[-1]
    lost = misses(ends[first].accuracy, ends[first].non_finite)
    told = f"At {most} flips **{plain(network_title(first))}** is down to {measured(ends[first].accuracy)} ({lost})"
    rest = f"**{plain(network_title(last))}** keeps {measured(ends[last].accuracy)}"
    if _overlap(ends[first].interval, ends[last].interval):
        return f"{told}, and {rest}; their intervals overlap, so that these trials don’t tell who breaks first."
    return f"{told}, and {rest}; their intervals don’t overlap: {plain(network_title(first))} breaks first."


def most_harmful(studies: Mapping[str, Sequence[CorruptionRow]]) -> str:
    """Which damage to the pictures costs most at its highest severity, and whom; empty where nothing is known."""
    found = [(row, name) for name, rows in studies.items() for row in rows]
    if not found:
        return ""
    most = max(row.severity for row, _ in found)
    row, name = min(((row, name) for row, name in found if row.severity == most), key=lambda pair: pair[0].accuracy)
    return (
        f"At severity {most} **{plain(method_title(row.name))}** costs most: {plain(network_title(name))} is down to "
        f"{measured(row.accuracy)}."
    )


def interplay(rows: Sequence[MapRow]) -> str:
    """Whether flips and an attack together do more damage than both losses added up."""
    found = {(row.flips, row.eps): row for row in rows if row.accuracy is not None}
    flips, eps = (max((place[axis] for place in found), default=0) for axis in (0, 1))
    corners = [found.get(place) for place in ((0, 0), (flips, 0), (0, eps), (flips, eps))]
    if None in corners or not flips or not eps:
        return "Too few of its corners were measured to say how flips and attacks add up."
    clean, by_flips, by_attack, both = (corner.accuracy for corner in corners)
    expected = max(0.0, by_flips + by_attack - clean)
    told = (
        f"{flips} flips alone leave {measured(by_flips)}, PGD at {eps:g}/255 alone {measured(by_attack)}, and both "
        f"together {measured(both)}; losses that add up would leave {measured(expected)}"
    )
    low, high = corners[3].interval or (both, both)
    if low <= expected <= high:
        return f"{told}, which lies within the interval: nothing speaks against their adding up."
    return f"{told}: together they do **{'more' if both < expected else 'less'}** damage than that."


def helped(rows: Sequence[ExpertRow]) -> str:
    """Whether experts that were trained on attacks lose less to the most flips than the one trained on clean scans."""
    most = max((row.flips for row in rows), default=0)
    losses = {row.expert: loss for row in rows if row.flips == most and (loss := _loss(row, rows))}
    if len(losses) < 2 or not most:
        return "too few experts were measured to compare."
    clean = [loss for name, loss in losses.items() if "clean" in name.lower()]
    hardened = [loss for name, loss in losses.items() if "clean" not in name.lower()]
    if not clean or not hardened:
        order = sorted(losses, key=lambda name: losses[name][0])
        first, last = order[0], order[-1]
        return (
            f"at {most} flips the experts lose between {_points(losses[first][0])} ({plain(first)}) and "
            f"{_points(losses[last][0])} ({plain(last)}) of accuracy."
        )
    first, others = _mean(clean), _mean(hardened)
    told = (
        f"{most} flips cost the expert that was first trained on clean scans {_points(first)} of accuracy, and those "
        f"trained on attacks {_points(others)} on average"
    )
    if all(_overlap(one[1], other[1]) for one in clean for other in hardened):
        return f"{told}; the intervals overlap, so that these trials show **no difference**."
    return f"{told}: training against attacks **{'helps' if others < first else 'does not help'}** here."


def _loss(row: ExpertRow, rows: Sequence[ExpertRow]) -> tuple[float, tuple[float, float] | None] | None:
    """How much accuracy an expert loses to flips, and the interval of that; experts differ without any flip, too."""
    start = next((other.accuracy for other in rows if (other.expert, other.flips) == (row.expert, 0)), None)
    if start is None or row.accuracy is None:
        return None
    return start - row.accuracy, row.interval and (start - row.interval[1], start - row.interval[0])


def _points(loss: float) -> str:
    return f"{100 * loss:.1f}\u00a0points"


def _mean(losses: Sequence[tuple[float, object]]) -> float:
    return sum(loss for loss, _ in losses) / len(losses)


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is None or other is None or (one[0] <= other[1] and other[0] <= one[1])
