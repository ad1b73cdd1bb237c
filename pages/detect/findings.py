"""What the detector's record says, as sentences: derived from the figures, whatever these turn out to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pages.shared.records.figures import condition_title, count_text, share_text
from pages.shared.words import method_title

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition, OperatingPoint, Roc

GUESSING, POOR = 0.6, 0.8


def scores_told(cost: OperatingPoint, attack: Condition | None, benign: OperatingPoint | None) -> str:
    """How many scans of each kind are flagged."""
    parts = [f"{count_text(cost.false_alarms)} clean scans"]
    if attack:
        parts.append(f"{count_text(cost.flagged)} after {condition_title(attack)}")
    if benign:
        parts.append(f"{count_text(benign.flagged)} after the benign change")
    return f"Flagged: {', '.join(parts)}."


def roc_told(curves: Mapping[str, Roc], title: str) -> str:
    """Which score separates attacked from clean scans best, and which is no better than guessing."""
    best = max(curves, key=lambda name: curves[name].auc)
    lost = [name for name, curve in curves.items() if curve.auc < GUESSING]
    told = f"Under {title} **{best}** separates best: area {curves[best].auc:.3f}, where 1 is perfect and 0.5 guessing."
    return f"{told} No better than guessing, or hardly: {', '.join(lost)}." if lost else told


def paper_sentence(curves: Mapping[str, Roc]) -> str:
    """What the figures say about MedFedPure's score, whatever they say. `curves`: attack → its curve."""
    best = max(curves, key=lambda title: curves[title].auc)
    name, most = "MedFedPure’s score, the mean reconstruction error,", f"{curves[best].auc:.3f} ({best})"
    if curves[best].auc < GUESSING:
        verdict = f"**{name} does not usefully separate attacked from clean scans here**"
    elif curves[best].auc < POOR:
        verdict = f"**{name} separates attacked from clean scans poorly here**"
    else:
        verdict = f"{name} separates some attacked scans from clean ones here"
    return f"{verdict}: its largest area is {most}, and 0.5 is guessing."


def stress_told(costs: Mapping[float, OperatingPoint]) -> str:
    """What the defence saves where the attack is strongest, and where the detector sees least. `costs`: by ε."""
    most, least = max(costs), min(costs, key=lambda eps: costs[eps].flagged.value)
    strong, weak = costs[most], costs[least]
    return (
        f"At ε = {most:g}/255 **{share_text(strong.undefended_attacked)}** are right undefended and "
        f"**{share_text(strong.defended_attacked)}** defended. Fewest are flagged at ε = {least:g}/255 "
        f"({share_text(weak.flagged)}), where {share_text(weak.undefended_attacked)} are right undefended."
    )


def price_told(cost: OperatingPoint) -> str:
    """What the chosen thresholds cost, in one sentence."""
    return (
        f"These thresholds flag **{share_text(cost.false_alarms)}** of the clean scans in vain, and miss "
        f"**{share_text(cost.misses)}** of the attacked ones: fooled, and not flagged."
    )


def benign_told(changes: Sequence[tuple[Condition, OperatingPoint]], budget: float) -> str:
    """Which benign change is taken for an attack most often, and how many stay within the budget of false alarms."""
    worst, cost = max(changes, key=lambda pair: pair[1].flagged.value)
    within = sum(cost.flagged.value <= budget for _, cost in changes)
    return (
        f"{within} of {len(changes)} benign changes stay within {100 * budget:.0f} % of false alarms. Taken for an "
        f"attack most often: **{method_title(worst.method)}**, severity {worst.strength:g}, {share_text(cost.flagged)}."
    )
