"""Where the tours lead: pages, and parts of them."""

from __future__ import annotations

from typing import NamedTuple

EXAMINE, ATTACK, DETECT, EXPERTS, AUDIT, PURIFY, FAULTS = (
    f"pages/{name}/page.py" for name in ("examine", "attack", "detect", "experts", "audit", "purify", "faults")
)


class Place(NamedTuple):
    """A part of a page: what it is called, and the key of the container or widget that is ringed."""

    words: str
    key: str


PLACES = {
    "decision": Place("the decision card", "decision"),
    "picture": Place("the picture, and the choices below it", "picture"),
    "evidence": Place("‘The evidence’", "part-evidence"),
    "attack": Place("‘What the attack changed’", "part-attack"),
    "purification": Place("‘What purification changed’", "part-purification"),
    "budget": Place("the budget ε and the button ‘Attack’", "attack"),
    "price": Place("‘False alarms’ and ‘Misses’", "operating-point"),
    "experts": Place("the bars below the button, one for each expert", "experts-attack"),
    "cohort": Place("the button ‘Start the audit’", "audit-start"),
}
