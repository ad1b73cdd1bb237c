"""The attack on a mixture that is made on the Experts page, and what the experts make of its end."""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from pages.experts.state import ATTACKED, CLEAN, PURIFIED, Attack, ExpertsState
from pages.shared.runtime import heavy_work
from pages.shared.session import current_session
from pages.shared.visit.asked import is_pressed

FIRST_EPS = 8.0
STEPS = 40
ABOUT = "PGD-40 changes the scan in 40 small steps, each to where the answer gives most, and no pixel by more than ε."


def draw_attack(state: ExpertsState, running: bool) -> None:
    """Ask for a budget, and attack."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = "Attack again" if state.attack.eps else "Attack the mixture"
        pressed = st.button(label, icon=":material/bolt:", type="primary", key="experts-attack", disabled=running)
        how = {"key": "experts-eps", "persist_state": "session", "disabled": running, "help": ABOUT}
        eps = st.slider("PGD-40 against all experts: ε, in 1/255", 0.5, 16.0, FIRST_EPS, 0.5, **how)
    asked = is_pressed(current_session(), "experts-attack") and state.attack.eps is None
    if pressed or asked:
        begin_attack(state, eps)
        st.rerun()


def begin_attack(state: ExpertsState, eps: float) -> None:
    """Attack the clean scan with PGD; whatever came of an earlier attack is dropped."""
    state.forget_attack()
    attack = Attack(eps=eps, steps=STEPS)
    state.start(_steps(state, attack, eps), doing=ATTACKED, total=STEPS)
    state.attack = attack


def _steps(state: ExpertsState, attack: Attack, eps: float) -> Iterator[None]:
    from core.attacks import AttackSettings
    from core.explanation.mixture import attacked

    settings = AttackSettings("pgd", eps=eps, steps=attack.steps)
    for pixels in attacked(state.stages[CLEAN].pixels, state.models, state.mixture, settings, state.seed):
        attack.pixels, attack.taken = pixels, attack.taken + 1
        yield


def conclude(state: ExpertsState) -> None:
    """Ask the experts about what the attack has come to, and about the same purified where the bundle can do that."""
    from core.explanation.mixture import run_mixture, run_mixture_on_purified

    if state.attack.pixels is None or ATTACKED in state.stages or state.running:
        return
    pixels, how = state.attack.pixels, (state.models, state.mixture)
    asked = {ATTACKED: lambda: run_mixture(pixels, *how)}
    if not state.models.lacks:
        asked[PURIFIED] = lambda: run_mixture_on_purified(pixels, *how, state.seed)
    state.stages |= heavy_work("Asking the experts …", lambda: {stage: ask() for stage, ask in asked.items()})
