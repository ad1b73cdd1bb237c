"""Which attack with which budget: only what the chosen attack takes is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.attack.words import FIRST_ATTACK, NO_DEFENCE, NOT_ASKED, knowledge
from pages.shared.session import Session
from pages.shared.visit.asked import refuse
from pages.shared.visit.attacks import MOST_REPEATS, MOST_SEED, MOST_STEPS
from pages.shared.visit.budgets import BUDGETS
from pages.shared.words import NORMS, heading, sign

if TYPE_CHECKING:
    from core import Bundle
    from core.attacks import Attack, AttackSettings

ALONE, WHOLE = "Classifier", "Whole defence"
ATTACKERS, BENIGN = "Attack", "Benign change"
ANY = -1  # the class that an attack drives to where none is named: None would leave the box empty


def possible_settings(session: Session, models: Bundle, label: str) -> AttackSettings:
    """What the visitor last set up, with no class to drive to that is the answer, `label`, or none of these models'.

    The attack that the page begins with where there is none yet, or where it asks for a defence that is lacking.
    """
    from core.attacks import AttackSettings, sees_defence

    settings = session.attack
    if settings is None or (models.lacks_for(session.classifier) and sees_defence(settings)):
        return AttackSettings(FIRST_ATTACK, eps=BUDGETS["linf"].start)
    return settings if settings.target in (None, *_others(models, label)) else replace(settings, target=None)


def begin_with(session: Session, settings: AttackSettings, models: Bundle, label: str) -> None:
    """Set all that is asked for as these settings have it; no class is driven to that is the answer, `label`, now."""
    from core.attacks import CORRUPTIONS, METHODS

    if settings.target not in (None, *_others(models, label)):
        refuse(session, {"class": str(settings.target)})
        settings = session.attack = replace(settings, target=None)
    method, benign = settings.method or FIRST_ATTACK, settings.method in CORRUPTIONS
    usual = METHODS[method].steps_in(settings.norm)
    values = {
        "kind": BENIGN if benign else ATTACKERS,
        "benign" if benign else "method": method,
        "severity": settings.severity,
        "target": WHOLE if settings.white_box else ALONE,
        f"norm-{method}": settings.norm,
        f"eps-{settings.norm}": settings.eps,
        f"steps-{method}-{usual}": settings.steps or usual,
        "restarts": settings.restarts,
        "eot": settings.eot,
        f"class-{models.name}-{label}": ANY if settings.target is None else settings.target,
        "seed": session.attack_seed,
    }
    if not (benign or METHODS[method].sees_defence):
        values["method-alone"] = method
    st.session_state.update({f"attack-{name}": value for name, value in values.items()})


def draw_controls(session: Session, models: Bundle, label: str, locked: bool) -> None:
    """Ask for everything that the next attack takes, and note it in the session.

    `label`: the answer to get away from; `locked`: nothing can be changed now.
    """
    from core.attacks import ATTACKS, CORRUPTIONS, AttackSettings

    kind = st.segmented_control(
        "What is done to the scan", (ATTACKERS, BENIGN), default=ATTACKERS, required=True, key="attack-kind",
        disabled=locked, persist_state="session",
    )  # fmt: skip
    catalogue, start = (CORRUPTIONS, models.benign[0]) if kind == BENIGN else (ATTACKS, FIRST_ATTACK)
    alone = models.lacks_for(session.classifier) is not None
    known = dict.fromkeys((*models.benign, *catalogue)) if kind == BENIGN else catalogue
    names = [name for name in known if not (alone and catalogue[name].sees_defence)]
    key = "attack-benign" if kind == BENIGN else "attack-method-alone" if alone else "attack-method"
    method = st.selectbox(
        kind, names, names.index(start), lambda name: catalogue[name].title, key=key, disabled=locked,
        persist_state="session",
    )  # fmt: skip
    options = _ask_common(catalogue[method], method, alone, locked)
    with st.expander("More settings", icon=":material/tune:"):
        options |= _ask_rare(catalogue[method], method, options.get("norm", ""), locked)
        if "target" in catalogue[method].takes:
            options["target"] = _ask_class(models, label, locked)
        seed = _ask_seed(locked)
    settings = AttackSettings(method, **options)
    if not locked:
        session.attack, session.attack_seed = settings, seed
    known = knowledge(settings, alone or models.limits_of(models.classifier_name(session.classifier)).purifies)
    st.caption(NO_DEFENCE if alone and known == NOT_ASKED else known)


def _ask_common(attack: Attack, method: str, alone: bool, locked: bool) -> dict[str, Any]:
    """What is asked for in every case: severity, or target and budget; `alone`: there is no defence to attack."""
    if "severity" in attack.takes:
        severity = st.slider("Severity", 1, 5, 2, key="attack-severity", disabled=locked, persist_state="session")
        return {"severity": severity}
    options: dict[str, Any] = {}
    if alone:
        st.segmented_control("Target", (ALONE,), default=ALONE, required=True, disabled=True, key="attack-always-alone")
    elif attack.sees_defence:
        st.segmented_control("Target", (WHOLE,), default=WHOLE, required=True, disabled=True, key="attack-always-whole")
    else:
        target = st.segmented_control(
            "Target", (ALONE, WHOLE), default=ALONE, required=True, key="attack-target", disabled=locked,
            persist_state="session",
        )  # fmt: skip
        options["white_box"] = target == WHOLE
    if not attack.norms:
        return options
    norm = attack.norms[0]
    if len(attack.norms) > 1:
        norm = st.segmented_control(
            "Norm", attack.norms, default=norm, required=True, format_func=sign, key=f"attack-norm-{method}",
            disabled=locked, persist_state="session",
        )  # fmt: skip
    return options | {"norm": norm, "eps": _ask_budget(norm, locked)}


def _ask_budget(norm: str, locked: bool) -> float:
    budget, unit = BUDGETS[norm], ", in 1/255" if norm == "linf" else ""
    return st.slider(
        f"Budget ε{unit}",
        budget.low,
        budget.high,
        budget.start,
        budget.step,
        help=f"{NORMS[norm]} is at most ε.",
        key=f"attack-eps-{norm}",
        disabled=locked,
        persist_state="session",
    )


def _ask_rare(attack: Attack, method: str, norm: str, locked: bool) -> dict[str, Any]:
    rare: dict[str, Any] = {}
    if "steps" in attack.takes:
        # The attack's own number may depend on the norm, and what was chosen for one says nothing for another.
        usual = attack.steps_in(norm)
        steps = _ask_number("Steps", 1, MOST_STEPS, usual, f"attack-steps-{method}-{usual}", locked)
        rare["steps"] = None if steps == usual else steps
    if "restarts" in attack.takes:
        rare["restarts"] = _ask_number("Restarts", 1, MOST_REPEATS, 1, "attack-restarts", locked)
    if "eot" in attack.takes:
        about = "Each gradient is averaged over so many calls of the target; it pays where the target is random."
        rare["eot"] = _ask_number("EOT samples", 1, MOST_REPEATS, 1, "attack-eot", locked, about)
    return rare


def _others(models: Bundle, label: str) -> list[int]:
    """The classes that an attack away from this answer can drive to."""
    return [index for index, name in enumerate(models.classes) if name != label]


def _ask_class(models: Bundle, label: str, locked: bool) -> int | None:
    chosen = st.selectbox(
        "Drive the scan to",
        [ANY, *_others(models, label)],
        format_func=lambda index: "Any other class" if index == ANY else heading(models.classes[index]),
        key=f"attack-class-{models.name}-{label}",
        disabled=locked,
        persist_state="session",
    )
    return None if chosen == ANY else chosen


def _ask_seed(locked: bool) -> int:
    about = "Draws everything random about the attack: the same seed gives the same pixels."
    return _ask_number("Seed of the attack", 0, MOST_SEED, 0, "attack-seed", locked, about)


def _ask_number(label: str, low: int, high: int, usual: int, key: str, locked: bool, about: str | None = None) -> int:
    return st.number_input(label, low, high, usual, key=key, help=about, disabled=locked, persist_state="session")
