"""What recorded figures say, as sentences: derived from the numbers, whatever these turn out to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pages.components.faults_words import measured, network_title
from pages.components.words import plain

if TYPE_CHECKING:
    from core.faults.record import ExpertRow, FlipRow

ALIKE = 0.005


def first_to_break(studies: Mapping[str, Sequence[FlipRow]]) -> str:
    """Which classifier loses most at the most flips that all were measured at, and whether the intervals part them."""
    known = {name: [row for row in rows if row.accuracy is not None] for name, rows in studies.items()}
    shared = set.intersection(*({row.flips for row in rows} for rows in known.values()))
    if len(known) < 2 or not shared:
        return "There is nothing to compare yet: fewer than two classifiers were measured at the same flips."
    most = max(shared)
    ends = {name: next(row for row in rows if row.flips == most) for name, rows in known.items()}
    order = sorted(ends, key=lambda name: ends[name].accuracy)
    first, last = order[0], order[-1]
    told = f"At {most} flips **{plain(network_title(first))}** is down to {measured(ends[first].accuracy)}"
    rest = f"**{plain(network_title(last))}** keeps {measured(ends[last].accuracy)}"
    if _overlap(ends[first].interval, ends[last].interval):
        return f"{told}, and {rest}; their intervals overlap, so that these trials don’t tell who breaks first."
    return f"{told}, and {rest}; their intervals don’t overlap: {plain(network_title(first))} breaks first."


def interplay(found: Mapping[tuple[int, float], float | None]) -> str:
    """Whether flips and an attack together do more damage than both losses added up."""
    flips, eps = (max(place[axis] for place in found) for axis in (0, 1))
    clean, by_flips = found.get((0, 0)), found.get((flips, 0))
    by_attack, both = found.get((0, eps)), found.get((flips, eps))
    if None in (clean, by_flips, by_attack, both) or not flips or not eps:
        return "Too few of its corners were measured to say how flips and attacks add up."
    expected = max(0.0, by_flips + by_attack - clean)
    told = (
        f"{flips} flips alone leave {measured(by_flips)}, PGD at {eps:g}/255 alone {measured(by_attack)}, and both "
        f"together {measured(both)}; losses that add up would leave {measured(expected)}"
    )
    if abs(both - expected) <= 0.02:
        return f"{told}: they add up."
    word = "more" if both < expected else "less"
    return f"{told}: together they do **{word}** damage than that."


def helped(rows: Sequence[ExpertRow]) -> str:
    """Whether experts that were trained on attacks bear the most flips better than those trained on clean scans."""
    most = max((row.flips for row in rows), default=0)
    ends = [row for row in rows if row.flips == most and row.accuracy is not None]
    if len(ends) < 2 or not most:
        return "too few experts were measured to compare."
    clean = [row for row in ends if "clean" in row.expert.lower()]
    hardened = [row for row in ends if row not in clean]
    if not clean or not hardened:
        low, high = min(ends, key=lambda row: row.accuracy), max(ends, key=lambda row: row.accuracy)
        return (
            f"at {most} flips the experts keep between {measured(low.accuracy)} ({plain(low.expert)}) and "
            f"{measured(high.accuracy)} ({plain(high.expert)})."
        )
    first, others = _mean(clean), _mean(hardened)
    same = all(_overlap(one.interval, other.interval) for one in clean for other in hardened)
    told = (
        f"at {most} flips the expert trained on clean scans keeps {measured(first)}, and those trained on attacks keep "
        f"{measured(others)} on average"
    )
    if same or abs(others - first) <= ALIKE:
        return f"{told}; the intervals overlap, so that these trials show **no difference**."
    return f"{told}: training against attacks **{'helps' if others > first else 'does not help'}** here."


def _mean(rows: Sequence[ExpertRow]) -> float:
    return sum(row.accuracy for row in rows) / len(rows)


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is None or other is None or (one[0] <= other[1] and other[0] <= one[1])
