"""An attack in words: what is done with which budget, and what the attacker knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.shared.words import number, sign

if TYPE_CHECKING:
    from core.attacks import AttackSettings

FIRST_ATTACK = "pgd"
# Who sees less than everything about the classifier.
QUERIES = {
    "square": "The attacker can only ask the target, and is told how probable it holds each class to be.",
    "rays": "The attacker can only ask the target, and is told nothing but its label.",
}
NOT_ASKED = "The attacker knows everything about the classifier, and nothing about the defence behind it."
NO_DEFENCE = "The attacker knows everything about the classifier, and no defence stands behind it."
ALL_KNOWN = (
    "The attacker knows everything: detector, purifier and classifier. Only the noise that the purifier will draw is "
    "hidden."
)
NOTHING_HIDDEN = (
    "The attacker knows everything: detector and classifier. Nothing is purified, so that no noise is hidden."
)
HIDING = (
    "The attacker knows detector and classifier, and the scores of unattacked scans, neither the thresholds nor what "
    "becomes of a flagged scan."
)
NO_ATTACKER = "Nobody attacks: it is a change as scanners, cameras and file formats bring it. The answer should stand."


def knowledge(settings: AttackSettings, purifies: bool = True) -> str:
    """One sentence on what the attacker knows; purifies: whether the defence that is attacked does."""
    from core.attacks import CORRUPTIONS, sees_defence

    if settings.method in CORRUPTIONS:
        return NO_ATTACKER
    if settings.method == "feature-hiding":
        return HIDING
    known = ALL_KNOWN if purifies else NOTHING_HIDDEN
    return QUERIES.get(settings.method or "", known if sees_defence(settings) else NOT_ASKED)


def in_short(settings: AttackSettings) -> str:
    """The attack, its budget and its target in one line."""
    from core.attacks import METHODS, sees_defence

    method = METHODS[settings.method or FIRST_ATTACK]
    words = [method.title.split(" (")[0]]
    if method.norms:
        words.append(f"ε = {number(settings.eps)}{'/255' if settings.norm == 'linf' else ''} ({sign(settings.norm)})")
    if "severity" in method.takes:
        words.append(f"severity {settings.severity}")
    return ", ".join(words) + (", on the whole defence" if sees_defence(settings) else "")
