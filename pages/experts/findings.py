"""What became of a gate, as sentences: derived from the numbers, whatever these turn out to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pages.shared.words import percent, plain

if TYPE_CHECKING:
    from core.explanation.gates import GateRecord
    from core.explanation.mixture import GateChange, MixtureOutput

STILL = 0.005  # less than half a point: every whole per cent stays


def points(change: float) -> str:
    """A change of a weight in points, with its sign: 0.034 is +3.4."""
    text = f"{100 * abs(change):.1f}"
    return f"±{text}" if float(text) == 0 else f"{'+' if change > 0 else '−'}{text}"


def moved(before: MixtureOutput, after: MixtureOutput, change: GateChange) -> str:
    """How far the gate moved, and whether that is what turned the answer."""
    first = _moved(after, change)
    if after.answer.label == before.answer.label:
        return first
    turned = f"{change.turned} of {sum(weight > 0 for weight in after.weights)} experts answer otherwise"
    if change.held.label == after.answer.label:
        held = f"{plain(change.held.label)}, {percent(change.held.confidence)}"
        return f"{first} It did not turn the answer: {turned}, and with the clean scan’s weights it is {held}, too."
    return f"{first} It **turned the answer**: with the clean scan’s weights it stays {plain(change.held.label)}."


def _moved(after: MixtureOutput, change: GateChange) -> str:
    if change.most < STILL:
        return "**The gate does not move**: no expert’s weight changes by half a point."
    return f"**The gate moves by {100 * change.most:.1f} points at most** ({plain(after.names[change.largest])})."


def moved_on_average(record: GateRecord, conditions: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """What attacks do to the recorded gates, against how much these differ from scan to scan anyway.

    `conditions`: attacks, each with its name in words.
    """
    shifts = {(condition, title): record.shift(condition) for condition, title in conditions}
    (_, title), shift = max(shifts.items(), key=lambda item: abs(item[1]).max())
    place = int(abs(shift).argmax())
    name, most, usual = plain(names[place]), abs(shift[place]), record.spread()[place]
    if most < STILL:
        return "These attacks do not move the gate: no expert’s mean weight changes by half a point."
    than = "less than" if most < usual else "more than"
    return (
        f"These attacks move an expert’s mean weight by {100 * most:.1f} points at most ({name}, {plain(title)}): "
        f"{than} it differs from one clean scan to the next ({100 * usual:.1f} points, standard deviation)."
    )
