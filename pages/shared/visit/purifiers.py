"""Purifiers side by side as words of an address, such as ``one-step~t50,mae-pure~steps8``, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pages.shared.visit.attacks import MOST_SEED, WrongWord, whole_number

if TYPE_CHECKING:
    from core import Bundle
    from core.purification.settings import PurifySettings

MOST_METHODS = 3
USUAL_T = 100  # of a method that chooses its noise level itself
MOST = {"t": 999, "steps": 999, "clip": 64}


def purifier_words(chosen: tuple[PurifySettings, ...], seed: int) -> dict[str, str]:
    """What an address says of a purification: its methods, and of their strength what isn't as usual."""
    words = {"purify": ",".join(_word(settings) for settings in chosen), "noise-seed": str(seed) if seed else ""}
    return {name: word for name, word in words.items() if word}


def _word(settings: PurifySettings) -> str:
    from core.purification.catalogue import find_purifier
    from core.purification.settings import PurifySettings

    purifier, usual = find_purifier(settings), PurifySettings(settings.method)
    parts = [settings.method]
    for name in MOST:
        value = getattr(settings, name)
        if name in purifier.takes and value not in (getattr(usual, name), purifier.t if name == "t" else None):
            parts.append(f"{name}{value:.15g}")
    return "~".join(parts)


def asked_purifiers(words: Mapping[str, str], models: Bundle) -> tuple[tuple[PurifySettings, ...], int]:
    """The methods that an address asks for, and their seed; WrongWord where that can't be."""
    asked = words["purify"].split(",")
    if len(asked) > MOST_METHODS:
        raise WrongWord("purify")
    chosen = tuple(_settings(word, models) for word in asked)
    return chosen, whole_number(words, "noise-seed", 0, MOST_SEED)


def _settings(word: str, models: Bundle) -> PurifySettings:
    from core.purification.catalogue import PURIFIERS, find_purifier, most_steps, usable_purifiers
    from core.purification.settings import PurifySettings

    method, *parts = word.split("~")
    if method not in usable_purifiers(models):
        raise WrongWord("purify")
    given = {name: part.removeprefix(name) for part in parts for name in MOST if part.startswith(name)}
    if len(given) != len(parts) or not given.keys() <= set(PURIFIERS[method].takes):
        raise WrongWord("purify")
    usual = {"t": PURIFIERS[method].t or USUAL_T} if "t" in PURIFIERS[method].takes else {}
    try:
        numbers: dict[str, Any] = {name: _number(given, name) for name in given}
    except WrongWord as error:
        raise WrongWord("purify", f"{error} from {error.holds}") from None
    settings = PurifySettings(method, **usual | numbers)
    try:
        find_purifier(settings)
    except ValueError:
        # Each number is in its range, so they don't go together: more steps than lead down from the noise level.
        raise WrongWord("purify", f"steps from 1 to {most_steps(settings)}") from None
    return settings


def _number(given: Mapping[str, str], name: str) -> float:
    """A strength in its range, WrongWord for others; whole numbers but for the clip, which the page takes any of."""
    if name != "clip":
        return whole_number(given, name, 1, MOST[name])
    try:
        clip = float(given[name])
    except ValueError:
        clip = 0.0
    if not 1 <= clip <= MOST[name]:  # which holds for no NaN
        raise WrongWord(name, f"1 to {MOST[name]}")
    return clip
