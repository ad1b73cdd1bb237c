"""Round by round of the search for the worst bits: the accuracy that each leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pages.faults import charts
from pages.faults.words import counted_bits, measured, misses
from pages.shared.visit.stage import draw_chart


def left(row: Any) -> str:
    """What is left after a round, in one sentence."""
    leave = "leaves" if row.index == 0 else "leave"
    many, right = f"**{counted_bits(row.index + 1)}**", f"**{measured(row.accuracy)}** of the answers right"
    return f"{many}, well chosen, {leave} {right}. Not right: {misses(row.accuracy, row.non_finite)}."


def draw_rounds(found: Mapping[str, Sequence[Any]], key: str) -> None:
    """The accuracy after each round. `found`: what was searched for → its rounds."""
    most = max(map(len, found.values()))
    lines = [
        charts.Line(title, [row.index + 1 for row in rows], [row.accuracy for row in rows], [None] * len(rows))
        for title, rows in found.items()
    ]
    told = "; ".join(
        f"{title}: {measured(rows[-1].accuracy)} at {counted_bits(len(rows))}" for title, rows in found.items()
    )
    figure = charts.accuracy_lines(lines, "bits flipped, each the worst that was found", range(1, most + 1))
    draw_chart(figure, charts.HEIGHT - 110, key=f"worst-{key}", alt=f"Accuracy over flipped bits. {told}")
