"""What the records of several tasks say, as sentences: derived from the figures, whatever these turn out to be.

`names`: bundle → what its task is called (`pages.across.record.short_names`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pages.shared.records.figures import area_text, condition_title, full_text, share_text, span_text
from pages.shared.words import plain

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition, OperatingPoint, Roc, Share
    from core.report.across import Attacked, Task

Names = Mapping[str, str]


def answers_told(tasks: Sequence[Task], condition: Condition, names: Names) -> str:
    """In how many tasks the defence puts answers right under an attack, and what it costs where nobody attacks."""
    points = {plain(names[task.name]): task.attacks[condition.name].point for task in tasks}
    better = sum(point.defended_attacked.low > point.undefended_attacked.high for point in points.values())
    return (
        f"{condition_title(condition)}: behind the defence more answers are right in **{better} of {len(points)} "
        f"tasks**, with intervals that lie apart. {_cost(points)}"
    )


def _cost(points: Mapping[str, OperatingPoint]) -> str:
    costs = {name: point.undefended_clean.value - point.defended_clean.value for name, point in points.items()}
    dearest = max(costs, key=costs.__getitem__)
    if costs[dearest] <= 0:
        return "With no attack it costs no right answers."
    return f"With no attack it costs most in {dearest}: {100 * costs[dearest]:.1f} points."


def answers_line(task: Task, attacked: Attacked, names: Names) -> str:
    """One task, attacked and not, alone and behind the defence."""
    point = attacked.point
    return (
        f"**{plain(names[task.name])}**: attacked with {condition_title(attacked.condition)}, right "
        f"{share_text(point.undefended_attacked)} alone, **{share_text(point.defended_attacked)}** behind the defence "
        f"(n = {task.n}, {span_text(point.defended_attacked)}); with no attack {share_text(point.undefended_clean)} "
        f"alone, {share_text(point.defended_clean)} behind it."
    )


def detection_told(tasks: Sequence[Task], condition: Condition, names: Names) -> str:
    """How well both questions are answered where they are answered worst."""
    found = {plain(names[task.name]): task.attacks[condition.name] for task in tasks}
    altered = {name: attacked.altered for name, attacked in found.items() if attacked.altered}
    misleading = {name: attacked.misleading for name, attacked in found.items()}
    parts = [_least("altered", altered)] if altered else []
    parts.append(_least("misleading", misleading))
    return (
        f"{condition_title(condition)}, smallest area under the curve: {', '.join(parts)}; 1 is perfect, 0.5 guessing."
    )


def _least(question: str, curves: Mapping[str, Roc]) -> str:
    worst = min(curves, key=lambda name: curves[name].auc)
    return f"**{question}** {curves[worst].auc:.3f} ({worst})"


def detection_line(task: Task, attacked: Attacked, names: Names) -> str:
    """How well one task's scores tell attacked scans from unattacked ones."""
    altered = f"altered **{area_text(attacked.altered)}**, " if attacked.altered else "altered isn’t asked, "
    return (
        f"**{plain(names[task.name])}**: attacked with {condition_title(attacked.condition)}, area under the curve: "
        f"{altered}misleading **{area_text(attacked.misleading)}** (n = {task.n} scans, each with and without attack)."
    )


def alarms_told(tasks: Sequence[Task], names: Names, budget: float) -> str:
    """Whether the false alarms stay within their budget, each question for itself."""
    points = {plain(names[task.name]): point_of(task) for task in tasks}
    altered = {name: point.altered_clean for name, point in points.items() if point.altered_clean}
    flagged = {name: point.false_alarms for name, point in points.items()}
    parts = [_within("flagged", flagged, budget)] + ([_within("called altered", altered, budget)] if altered else [])
    return f"Of unattacked scans at most {100 * budget:.0f} % are {', and '.join(parts)}."


def _within(what: str, shares: Mapping[str, Share], budget: float) -> str:
    within, most = sum(share.value <= budget for share in shares.values()), max(shares, key=lambda name: shares[name])
    return f"{what} in **{within} of {len(shares)} tasks** (most: {share_text(shares[most])}, {most})"


def alarms_line(task: Task, names: Names) -> str:
    """How many of one task's unattacked scans are flagged, and called altered."""
    point = point_of(task)
    altered = f", {full_text(point.altered_clean)} called altered" if point.altered_clean else ""
    return (
        f"**{plain(names[task.name])}**: of unattacked scans {full_text(point.false_alarms)} flagged{altered} "
        f"(n = {task.n} in {task.groups} groups)."
    )


def point_of(task: Task) -> OperatingPoint:
    """One with what is so under any attack: accuracies and false alarms on the unattacked scans."""
    return next(iter(task.attacks.values())).point
