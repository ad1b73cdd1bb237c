"""Which attack with which budget: only what the chosen attack takes is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.session import Session
from pages.shared.words import NORMS, heading, number, sign

if TYPE_CHECKING:
    from core import Bundle
    from core.attacks import Attack, AttackSettings

FIRST_ATTACK = "pgd"
ALONE, WHOLE = "Classifier", "Whole defence"
ATTACKERS, BENIGN = "Attack", "Benign change"


@dataclass(frozen=True)
class Budget:
    """The slider of ε: its range, its step and where it starts."""

    low: float
    high: float
    step: float
    start: float


BUDGETS = {
    "linf": Budget(0.5, 16.0, 0.5, 8.0),
    "l2": Budget(0.1, 8.0, 0.1, 2.0),
    "l1": Budget(1.0, 200.0, 1.0, 60.0),
}
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
NO_ATTACKER = "Nobody attacks: it is a change as scanners and file formats bring it. The answer should stand."


def knowledge(settings: AttackSettings) -> str:
    """One sentence on what the attacker knows."""
    from core.attacks import CORRUPTIONS, sees_defence

    if settings.method in CORRUPTIONS:
        return NO_ATTACKER
    return QUERIES.get(settings.method or "", ALL_KNOWN if sees_defence(settings) else NOT_ASKED)


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


def possible_settings(settings: AttackSettings | None, models: Bundle) -> AttackSettings:
    """What the visitor last set up; the attack that the page begins with where that asks for what the bundle lacks."""
    from core.attacks import AttackSettings, sees_defence

    if settings and not (models.lacks and sees_defence(settings)):
        return settings
    return AttackSettings(FIRST_ATTACK, eps=BUDGETS["linf"].start)


def draw_controls(session: Session, models: Bundle, label: str, locked: bool) -> None:
    """Ask for everything that the next attack takes, and note it in the visit. `label`: the answer to get away from."""
    from core.attacks import ATTACKS, CORRUPTIONS, AttackSettings

    kept: dict[str, Any] = {"disabled": locked, "persist_state": "session"}
    kind = st.segmented_control(
        "What is done to the scan", (ATTACKERS, BENIGN), default=ATTACKERS, required=True, key="attack-kind", **kept
    )
    catalogue, start = (CORRUPTIONS, next(iter(CORRUPTIONS))) if kind == BENIGN else (ATTACKS, FIRST_ATTACK)
    alone = models.lacks is not None
    names = [name for name, attack in catalogue.items() if not (alone and attack.sees_defence)]
    key = "attack-benign" if kind == BENIGN else "attack-method-alone" if alone else "attack-method"
    method = st.selectbox(
        kind or ATTACKERS, names, names.index(start), lambda name: catalogue[name].title, key=key, **kept
    )
    options = _common(catalogue[method], method, alone, kept)
    with st.expander("More settings", icon=":material/tune:"):
        norm = options.get("norm", "")
        options |= _rare(catalogue[method], method, norm, models, label, kept)
        seed = _ask_seed(kept)
    settings = AttackSettings(method, **options)
    if not locked:
        session.attack, session.attack_seed = settings, seed
    known = knowledge(settings)
    st.caption(NO_DEFENCE if alone and known == NOT_ASKED else known)


def _common(attack: Attack, method: str, alone: bool, kept: dict[str, Any]) -> dict[str, Any]:
    """What is asked for in every case: severity, or target and budget; `alone`: there is no defence to attack."""
    if "severity" in attack.takes:
        return {"severity": st.slider("Severity", 1, 5, 2, key="attack-severity", **kept)}
    options: dict[str, Any] = {}
    if alone:
        st.segmented_control("Target", (ALONE,), default=ALONE, required=True, disabled=True, key="attack-always-alone")
    elif attack.sees_defence:
        st.segmented_control("Target", (WHOLE,), default=WHOLE, required=True, disabled=True, key="attack-always-whole")
    else:
        how = {"default": ALONE, "required": True, "key": "attack-target"}
        options["white_box"] = st.segmented_control("Target", (ALONE, WHOLE), **how, **kept) == WHOLE
    if not attack.norms:
        return options
    norm = attack.norms[0]
    if len(attack.norms) > 1:
        how = {"default": norm, "required": True, "format_func": sign, "key": f"attack-norm-{method}"}
        norm = st.segmented_control("Norm", attack.norms, **how, **kept) or norm
    return options | {"norm": norm, "eps": _ask_budget(norm, kept)}


def _ask_budget(norm: str, kept: dict[str, Any]) -> float:
    budget, unit = BUDGETS[norm], ", in 1/255" if norm == "linf" else ""
    return st.slider(
        f"Budget ε{unit}",
        budget.low,
        budget.high,
        budget.start,
        budget.step,
        help=f"{NORMS[norm]} is at most ε.",
        key=f"attack-eps-{norm}",
        **kept,
    )


def _rare(attack: Attack, method: str, norm: str, models: Bundle, label: str, kept: dict[str, Any]) -> dict[str, Any]:
    rare: dict[str, Any] = {}
    if "steps" in attack.takes:
        # The attack's own number may depend on the norm, and what was chosen for one says nothing for another.
        usual = attack.steps_in(norm)
        steps = st.number_input("Steps", 1, 10_000, usual, key=f"attack-steps-{method}-{usual}", **kept)
        rare["steps"] = None if steps == usual else int(steps)
    if "restarts" in attack.takes:
        rare["restarts"] = int(st.number_input("Restarts", 1, 20, 1, key="attack-restarts", **kept))
    if "eot" in attack.takes:
        about = "Each gradient is averaged over so many calls of the target; it pays where the target is random."
        rare["eot"] = int(st.number_input("EOT samples", 1, 32, 1, help=about, key="attack-eot", **kept))
    if "target" in attack.takes:
        classes = [index for index, name in enumerate(models.classes) if name != label]
        wanted = st.selectbox(
            "Drive the scan to",
            [None, *classes],
            format_func=lambda index: "Any other class" if index is None else heading(models.classes[index]),
            key=f"attack-class-{models.name}-{label}",
            **kept,
        )
        rare["target"] = wanted
    return rare


def _ask_seed(kept: dict[str, Any]) -> int:
    about = "Draws everything random about the attack: the same seed gives the same pixels."
    return int(st.number_input("Seed of the attack", 0, 2**31 - 1, 0, key="attack-seed", help=about, **kept))
