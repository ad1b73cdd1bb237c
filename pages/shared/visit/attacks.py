"""An attack's settings as words of an address, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pages.shared.visit.budgets import BUDGETS

if TYPE_CHECKING:
    from core.attacks import AttackSettings

WHOLE = "whole"
MOST_SEED, MOST_STEPS, MOST_REPEATS = 2**31 - 1, 10_000, 32
NAMES = ("attack", "eps", "norm", "severity", "target", "steps", "restarts", "eot", "class", "attack-seed")


class WrongWord(ValueError):
    """The name of a word that an address has and that can't be taken; holds: the range of a number, else empty."""

    def __init__(self, name: str, holds: str = "") -> None:
        super().__init__(name)
        self.holds = holds


def attack_words(settings: AttackSettings, seed: int) -> dict[str, str]:
    """What an address says of an attack: what it takes, and of the rest what isn't as usual."""
    from core.attacks import METHODS

    if settings.method is None:
        return {}
    method = METHODS[settings.method]
    words = {"attack": settings.method}
    if method.norms:
        words |= {"eps": f"{settings.eps:g}", "norm": settings.norm if settings.norm != method.norms[0] else ""}
    if "severity" in method.takes:
        words["severity"] = str(settings.severity)
    words["target"] = WHOLE if settings.white_box else ""
    for name, usual in (("steps", None), ("restarts", 1), ("eot", 1)):
        value = getattr(settings, name)
        words[name] = str(value) if name in method.takes and value != usual else ""
    words["class"] = "" if settings.target is None else str(settings.target)
    words["attack-seed"] = str(seed) if seed else ""
    return {name: word for name, word in words.items() if word}


def asked_attack(words: Mapping[str, str], classes: int) -> tuple[AttackSettings, int]:
    """The attack that an address asks for, and its seed; WrongWord where that can't be.

    classes: how many the bundle has.
    """
    from core.attacks import METHODS, AttackSettings

    if words["attack"] not in METHODS:
        raise WrongWord("attack")
    method = METHODS[words["attack"]]
    norm = words.get("norm", method.norms[0] if method.norms else "linf")
    if norm not in (method.norms or BUDGETS):
        raise WrongWord("norm")
    settings = AttackSettings(
        words["attack"],
        eps=_budget(words.get("eps"), norm),
        norm=norm,
        steps=whole_number(words, "steps", 1, MOST_STEPS) if "steps" in words else None,
        restarts=whole_number(words, "restarts", 1, MOST_REPEATS),
        eot=whole_number(words, "eot", 1, MOST_REPEATS),
        target=whole_number(words, "class", 0, classes - 1) if "class" in words else None,
        severity=whole_number(words, "severity", 1, 5),
        white_box=words.get("target") == WHOLE,
    )
    return settings, whole_number(words, "attack-seed", 0, MOST_SEED)


def whole_number(words: Mapping[str, str], name: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, `low` where the address has none; WrongWord for others."""
    word = words.get(name, str(low))
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(high)) and low <= int(word) <= high):
        raise WrongWord(name, f"{low} to {high}")
    return int(word)


def _budget(word: str | None, norm: str) -> float:
    """ε, rounded to what the slider offers."""
    budget = BUDGETS[norm]
    if word is None:
        return budget.start
    wrong = WrongWord("eps", f"{budget.low:g} to {budget.high:g}")
    try:
        eps = float(word)
    except ValueError:
        raise wrong from None
    if not budget.low <= eps <= budget.high:  # which holds for no NaN
        raise wrong
    return round(round(eps / budget.step) * budget.step, 6)
