"""The attack on a mixture that is made on the Experts page, and what the experts make of its end."""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from pages.experts.state import ATTACKED, CLEAN, PURIFIED, Bench
from pages.shared.runtime import heavy_work

FIRST_EPS = 8.0
STEPS = 40
ABOUT = "PGD-40 changes the scan in 40 small steps, each to where the answer gives most, and no pixel by more than ε."


def draw_attack(bench: Bench, running: bool) -> None:
    """Ask for a budget, and attack."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = "Attack again" if bench.eps else "Attack the mixture"
        pressed = st.button(label, icon=":material/bolt:", type="primary", key="experts-attack", disabled=running)
        how = {"key": "experts-eps", "persist_state": "session", "disabled": running, "help": ABOUT}
        eps = st.slider("PGD-40 against all experts: ε, in 1/255", 0.5, 16.0, FIRST_EPS, 0.5, **how)
    if pressed:
        begin_attack(bench, eps)
        st.rerun()


def begin_attack(bench: Bench, eps: float) -> None:
    """Attack the clean scan with PGD; whatever came of an earlier attack is dropped."""
    bench.stop()
    for stage in (ATTACKED, PURIFIED):
        bench.stages.pop(stage, None)
    bench.looks.clear()
    bench.attention.clear()
    bench.taken = None
    bench.start(ATTACKED, STEPS, _steps(bench, eps))
    bench.eps = eps


def _steps(bench: Bench, eps: float) -> Iterator[None]:
    from core.attacks import AttackSettings
    from core.explanation.mixture import attacked

    settings = AttackSettings("pgd", eps=eps, steps=STEPS)
    for pixels in attacked(bench.stages[CLEAN].pixels, bench.models, bench.mixture, settings, bench.seed):
        bench.taken = pixels
        yield


def conclude(bench: Bench) -> None:
    """Ask the experts about what the attack has come to, and about the same purified where the bundle can do that."""
    from core.explanation.mixture import run_mixture, run_mixture_on_purified

    if bench.taken is None or ATTACKED in bench.stages or bench.running:
        return
    pixels, how = bench.taken, (bench.models, bench.mixture)
    asked = {ATTACKED: lambda: run_mixture(pixels, *how)}
    if not bench.models.lacks:
        asked[PURIFIED] = lambda: run_mixture_on_purified(pixels, *how, bench.seed)
    bench.stages |= heavy_work("Asking the experts …", lambda: {stage: ask() for stage, ask in asked.items()})
