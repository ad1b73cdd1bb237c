"""What the figures of faults say, in sentences: who loses most, and whether robust networks lose less."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.faults.record import FaultRecord
from training.publish.fault_records import COMPARED_EPS, MOST, Records, by_expert, worst_first
from training.publish.markdown import percent, points


class Loss(NamedTuple):
    """Points of accuracy, in [0, 1], that a network loses to flips, and the 95 % interval over trials."""

    value: float
    low: float
    high: float


def verdicts(found: Records) -> list[str]:
    """Return what the figures say, in sentences."""
    return [*who_breaks_first(found), *robustness(found), *experts_verdicts(found)]


def losses(found: Records, flips: int = MOST) -> dict[str, Loss]:
    """Return classifier → what it loses to so many random flips; the least first."""
    known = {name: loss(record.rows("flips"), flips) for name, record in found.items()}
    return dict(sorted(((name, lost) for name, lost in known.items() if lost), key=lambda pair: pair[1].value))


def loss(rows: Sequence[Any], flips: int) -> Loss | None:
    """Return what is lost between no flips and `flips`; None where either isn't there."""
    by_flips = {row.flips: row for row in rows}
    if not {0, flips} <= by_flips.keys():
        return None
    clean, damaged = by_flips[0].accuracy, by_flips[flips]
    low, high = damaged.interval
    return Loss(clean - damaged.accuracy, clean - high, clean - low)


def who_breaks_first(found: Records) -> list[str]:
    """Return which network loses most to random flips, and which to the worst ones."""
    lost = losses(found)
    if len(lost) < 2:
        return []
    best, worst = next(iter(lost)), list(lost)[-1]
    text = (
        f"With {MOST} random flips {worst} loses most, {lost_points(lost[worst])}, and {best} least, "
        f"{lost_points(lost[best])}{settled(lost[best], lost[worst])}."
    )
    chosen = {name: worst_first(record, True) for name, record in found.items()}
    chosen = {name: row for name, row in chosen.items() if row}
    if not chosen:
        return [text]
    figures = ", ".join(f"{name} to {percent(row.accuracy)}" for name, row in chosen.items())
    return [text, f"One chosen bit that leaves every answer finite takes {figures}."]


def robustness(found: Records) -> list[str]:
    """Return whether the networks that withstand attacks or corruptions best also withstand flips best."""
    lost = losses(found)
    scores = {
        f"PGD at {COMPARED_EPS}/255": lambda row: getattr(row, "eps", None) == COMPARED_EPS and row.method == "pgd",
        "the corruptions": lambda row: hasattr(row, "severity"),
    }
    lines = []
    for name, belongs in scores.items():
        known = {key: mean_accuracy(found[key], belongs) for key in lost}
        held = {key: value for key, value in known.items() if value is not None}
        if len(held) > 1:
            lines.append(robustness_sentence(name, held, lost))
    return lines


def mean_accuracy(record: FaultRecord, belongs: Callable[[Any], bool]) -> float | None:
    """Return the mean over the rows of attacks and corruptions that belong; None where there are none."""
    values = [row.accuracy for row in (*record.rows("attacks"), *record.rows("corruptions")) if belongs(row)]
    return float(np.mean(values)) if values else None


def robustness_sentence(name: str, held: Mapping[str, float], lost: Mapping[str, Loss]) -> str:
    """Return the network that withstands something best beside the others, in a sentence."""
    best = max(held, key=held.__getitem__)
    others = [lost[key] for key in held if key != best]
    where = sum(other.value < lost[best].value for other in others)
    rank = f"more than {where} of the {len(others)} others" if where else "less than any other"
    rank = "more than the other" if where == len(others) == 1 else rank
    nearest = min(others, key=lambda other: abs(other.value - lost[best].value))
    return (
        f"The network that withstands {name} best ({best}, {percent(held[best])}) loses {lost_points(lost[best])} to "
        f"{MOST} flips, {rank}{settled(nearest, lost[best])}."
    )


def experts_verdicts(found: Records) -> list[str]:
    """Return whether experts trained on attacks lose less to flips than others of the same architecture."""
    lines = []
    for name, record in found.items():
        lost = {expert: loss(rows, MOST) for expert, rows in by_expert(record).items()}
        attacked = [one for expert, one in lost.items() if one and attack_trained(expert)]
        others = [one for expert, one in lost.items() if one and not attack_trained(expert)]
        if attacked and others:
            first, second = mean_loss(others), mean_loss(attacked)
            verdict = "more" if second.value > first.value else "less"
            lines.append(
                f"Within {name}, experts that began with attacked scans lose {lost_points(second)} to {MOST} flips on "
                f"average, {verdict} than those that began with clean ones, {lost_points(first)}"
                f"{settled(first, second)}."
            )
    return lines


def attack_trained(expert: str) -> bool:
    """Return whether an expert's name says that it was trained on an attack first, as Divided We Fall's names do."""
    return expert.startswith(("FGSM", "PGD"))


def mean_loss(parts: Sequence[Loss]) -> Loss:
    """Return the mean of several losses, their trials being independent: half widths add up in squares."""
    value, count = float(np.mean([part.value for part in parts])), len(parts)
    below, above = ([getattr(part, side) - part.value for part in parts] for side in ("low", "high"))
    return Loss(value, value - float(np.hypot.reduce(below)) / count, value + float(np.hypot.reduce(above)) / count)


def lost_points(lost: Loss) -> str:
    """Return a loss in percentage points."""
    return points(lost.value, (lost.low, lost.high))


def settled(first: Loss, second: Loss) -> str:
    """Return what is added where two losses can't be told apart."""
    apart = first.high < second.low or second.high < first.low
    return "" if apart else "; the intervals overlap, so that this is not settled"
