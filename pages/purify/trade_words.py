"""What the comparison of purifiers says, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.purify.controls import title
from pages.shared.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.evaluation.tradeoff import Point, Tradeoff

NAMES = {"clean": "No attack", "pgd 4/255": "PGD, ε = 4/255", "pgd 8/255": "PGD, ε = 8/255"}
CURVE = "one-step"
SLOW = ("mae-pure", "mae-pure-amv", "rmae-pure", "maskdit-pure", "rmaskdit-pure", "diffpure")


def told(record: Tradeoff) -> str:
    """Which purifier puts most answers right under the strongest attack, and its price, on as many scans as can be."""
    condition = [name for name in NAMES if any(point.condition == name for point in record.points)][-1]
    most = max(point.accuracy.n for point in record.points)
    known = [point for point in record.points if (point.condition, point.accuracy.n) == (condition, most)]
    if not known:
        return f"Nothing was measured on all {most} scans under {NAMES[condition]}."
    best = max(known, key=lambda point: point.accuracy.value)
    return (
        f"{NAMES[condition]}: of what was measured on {most} scans, **{plain(full_name(best))}** puts most answers "
        f"right, {100 * best.accuracy.value:.1f} %, at an SSIM of {best.ssim:.3f} to the clean scan."
    )


def slow_told(points: Iterable[Point], condition: str) -> str | None:
    """Which slow purifiers beat one denoising step on the scans that they were measured on; None where none was."""
    from core.purification.catalogue import PURIFIERS

    under = [point for point in points if point.condition == condition]
    most = max((point.accuracy.n for point in under), default=0)
    few = [point for point in under if point.accuracy.n < most]
    slow = [point for point in few if point.method in SLOW and point.t == PURIFIERS[point.method].t]
    steps = [point for point in few if point.method == CURVE and point.accuracy.n == slow[0].accuracy.n] if slow else []
    if not steps:
        return None
    best = max(steps, key=lambda point: point.accuracy.value)
    said = []
    for verb, beaten in (("more than that", True), ("no more than that", False)):
        names = [
            f"{plain(title(point.method))} ({100 * point.accuracy.value:.1f} %)"
            for point in slow
            if (point.accuracy.value > best.accuracy.value) == beaten
        ]
        said += [f"{verb}: {', '.join(names)}"] if names else []
    return (
        f"On {best.accuracy.n} scans **one denoising step** (t* = {best.t}) puts {100 * best.accuracy.value:.1f} % "
        f"right; {'; '.join(said)}."
    )


def full_name(point: Point) -> str:
    """The purifier of a point, with its noise level and steps where it has some."""
    words = [title(point.method), f"t* = {point.t}" if point.t else ""]
    words.append(counted(point.steps) if point.steps and point.steps > 1 else "")
    return ", ".join(filter(None, words))
