"""The step that an address asks for, on pages that show how something went step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pages.shared.visit.asked import refuse

if TYPE_CHECKING:
    from pages.shared.session import Session


def asks_for_step(session: Session) -> bool:
    """Whether the address asks for one that wasn't looked at yet."""
    return "step" in session.visit.asked


def place_asked(session: Session, steps: Sequence[int]) -> int | None:
    """The place among `steps` of the one that the address asks for, or of the last before it.

    None where it asks for none, or for one that isn't there, which is said.
    """
    asked = session.visit.asked.pop("step", None)
    if asked is None:
        return None
    if not (asked.isascii() and asked.isdigit()) or len(asked) > len(str(steps[-1])) or int(asked) > steps[-1]:
        refuse(session, {"step": asked}, {"step": f"0 to {steps[-1]}"})
        return None
    return max(place for place, step in enumerate(steps) if step <= int(asked))
