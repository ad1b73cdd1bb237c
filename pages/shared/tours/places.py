"""Where the tours lead: pages, and parts of them."""

from __future__ import annotations

from typing import NamedTuple

EXAMINE, ATTACK, DETECT, ACROSS, EXPERTS, AUDIT, PURIFY, FAULTS = (
    f"pages/{name}/page.py"
    for name in ("examine", "attack", "detect", "across", "experts", "audit", "purify", "faults")
)


class Place(NamedTuple):
    """A part of a page.

    words: what it is called; key: of the container or widget that is ringed; edge: which end of it is brought into
    sight where it is larger than the room for it, ``start`` or ``end``.
    """

    words: str
    key: str
    edge: str = "start"


PLACES = {
    "decision": Place("the decision card", "decision"),
    "picture": Place("the picture, and the choices below it", "picture"),
    "evidence": Place("‘The evidence’", "part-evidence"),
    "attack": Place("‘What the attack changed’", "part-attack"),
    "purification": Place("‘What purification changed’", "part-purification"),
    "budget": Place("the budget ε and the button ‘Attack’", "attack-settings", "end"),
    "price": Place("the sliders, and ‘False alarms’ and ‘Misses’ below them", "price"),
    "experts": Place("the bars below the button, one for each expert", "opinions"),
    "cohort": Place("the button ‘Start the audit’", "audit-start"),
}
