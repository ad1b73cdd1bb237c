"""What a tour is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pages.shared.tours.places import EXAMINE

CHANGE, ESTIMATE = "gain-Original", "gain-Before: what the classifier was given"  # how far each is amplified


@dataclass(frozen=True)
class Step:
    """One step.

    focus: the place that it speaks of, one of `PLACES`; see: what there is to see there; attacked: whether the scan is
    attacked by then, None where that makes no difference; page: where it is; sets: widgets' keys → what they are set
    to; asks: what else is chosen, in the words of an address; press: key of a button that is pressed.
    """

    title: str
    text: str
    focus: str
    see: str
    attacked: bool | None = False
    page: str = EXAMINE
    sets: Mapping[str, object] = field(default_factory=dict)
    asks: Mapping[str, str] = field(default_factory=dict)
    press: str = ""


@dataclass(frozen=True)
class Tour:
    """A guided tour for one kind of visitor.

    after: what is worth doing next, as page → words of its link.
    """

    key: str
    title: str
    icon: str
    promise: str
    steps: tuple[Step, ...]
    after: Mapping[str, str]
