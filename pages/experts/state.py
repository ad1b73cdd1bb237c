"""One scan before the experts: what they said of it clean, attacked and purified, and what runs on the Experts page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from pages.shared.examinations import examination, target_examination
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle, heavy_work
from pages.shared.words import counted

if TYPE_CHECKING:
    import numpy as np

    from core import Bundle, Examination, Scan
    from core.bundles import Expert
    from core.explanation.mixture import GatePathPoint, MixtureView
    from core.models.experts import MixtureOfExperts
    from pages.shared.session import Session

CLEAN, ATTACKED, PURIFIED = "Clean", "Attacked", "Purified"


class Question(NamedTuple):
    """Whom to ask where they look, and how.

    method: one of `core.explanation.attributions.METHODS`; place: which expert, None for the mixture; switched_on:
    which of its experts are at work, empty where all are, or where one expert is asked.
    """

    method: str
    place: int | None = None
    switched_on: tuple[bool, ...] = ()


class Attention(NamedTuple):
    """Maps of what the class token takes from each patch, (rows, columns) each.

    raw: a tuple a layer, of the mean over the heads and then of every head; rollout: through all layers. The matrices
    themselves would take 17 MB a scan.
    """

    raw: tuple[tuple[np.ndarray, ...], ...]
    rollout: np.ndarray


@dataclass
class Attack:
    """An attack on the mixture, as far as it has come; its steps write into it and into no other.

    pixels: (C, H, W) what it has come to, None before the first step; eps: its budget in 1/255, and taken, steps: how
    many steps of how many, None and 0 for a copy that was attacked elsewhere.
    """

    pixels: np.ndarray | None = None
    eps: float | None = None
    taken: int = 0
    steps: int = 0

    @property
    def title(self) -> str:
        """In words; of one that was cut short, how far it came."""
        if self.eps is None:
            return ATTACKED
        part = f", after {self.taken} of {counted(self.steps)}" if self.taken < self.steps else ""
        return f"{ATTACKED}, ε = {self.eps:g}/255{part}"


@dataclass(kw_only=True)
class ExpertsState(PageState):
    """What is known of one scan and one mixture.

    Attributes
    ----------
    mixture, seed
        A classifier of the bundle, and what draws the noise.
    scan, before
        The scan on the table, and the result for it, or for its origin where it is an attacked copy.
    stages : dict of str to MixtureView
        `CLEAN`, `ATTACKED`, `PURIFIED` → pixels and what the experts make of them; the last two after an attack.
    attack : Attack
        The one that is made here, or the copy where none was.
    copy : ndarray or None
        (C, H, W) the open scan where it is an attacked copy.
    path, path_method
        The gate along ε, as far as it is known, and by which attack.
    attributions : dict
        Whom and how → stage → map.
    attention : dict
        Stage → maps of the MAE's attention.
    run : Job or None
        The one thing that runs, or ran last; `doing` says which, `total` how many steps it takes.
    """

    mixture: str
    seed: int
    scan: Scan
    before: Examination
    stages: dict[str, MixtureView]
    attack: Attack = field(default_factory=Attack)
    copy: np.ndarray | None = None
    path: list[GatePathPoint] = field(default_factory=list)
    path_method: str | None = None
    attributions: dict[Question, dict[str, np.ndarray]] = field(default_factory=dict)
    attention: dict[str, Attention] = field(default_factory=dict)

    @property
    def models(self) -> Bundle:
        """The bundle."""
        return bundle(self.before.bundle)

    @property
    def network(self) -> MixtureOfExperts:
        """The mixture itself; shared, so never to be modified."""
        return self.models.classifiers[self.mixture]

    @property
    def experts(self) -> tuple[Expert, ...]:
        """Who sits in the mixture."""
        return self.models.experts(self.mixture)

    def start(self, steps: Iterator[Any], *args: Any, **how: Any) -> None:
        """As every page's; an attack that this cuts off is forgotten, with the step it is at, and the copy is back."""
        if self.is_doing(ATTACKED):
            self.attack = Attack(self.copy)
        super().start(steps, *args, **how)

    def forget_attack(self) -> None:
        """Drop what came of an attack, and what was asked about it."""
        self.stop()
        for stage in (ATTACKED, PURIFIED):
            self.stages.pop(stage, None)
        self.attributions.clear()
        self.attention.clear()
        self.attack = Attack()

    def show_copy(self) -> None:
        """The open scan, an attacked copy, in the place of what was attacked here."""
        self.forget_attack()
        self.attack = Attack(self.copy)


def switches_key(mixture: str) -> str:
    """Under which the browser's session keeps who is switched on."""
    return f"experts-on-{mixture}"


def current_state(session: Session, mixture: str) -> ExpertsState:
    """What is known of this scan and this mixture; of another one it is begun anew, and what ran is stopped."""
    scan, origin = session.scan, session.origin
    assert scan is not None
    choices = (scan.key, origin and origin.key, session.frame, session.window, session.bundle, session.seed, mixture)
    return session.current(ExpertsState, choices) or session.keep(_new_state(session, mixture, choices))


def _new_state(session: Session, mixture: str, choices: tuple[object, ...]) -> ExpertsState:
    from core.explanation.mixture import run_mixture

    now, before = examination(session), target_examination(session)
    models, seed = bundle(session.bundle), session.seed
    # Whoever was switched off for the last scan is asked about this one.
    st.session_state[switches_key(mixture)] = list(range(len(models.experts(mixture))))
    clean = heavy_work("Asking the experts …", lambda: run_mixture(before.pixels, models, mixture))
    copy = now.pixels if session.origin else None
    return ExpertsState(
        choices=choices,
        mixture=mixture,
        seed=seed,
        scan=session.scan,
        before=before,
        stages={CLEAN: clean},
        attack=Attack(copy),
        copy=copy,
    )
