"""An attack while it runs and after: the picture and the probability."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from pages.attack.charts import FEWEST_STEPS, draw_charts
from pages.attack.state import AttackRun, begin
from pages.shared.examinations import answer_of
from pages.shared.job_status import Progress, draw_job_status, follow
from pages.shared.pictures import draw_large_number
from pages.shared.story import cards
from pages.shared.visit.steps import asks_for_step, place_asked
from pages.shared.words import counted, length, number, percent, sign

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core import Examination, Scan
    from core.trajectories.attack import Snapshot
    from pages.shared.session import Session

# On two cores, drawing and the browser take their time from the attack, and charts take most of it.
CHART_SECONDS = 2.0


def follow_attack(
    attack_run: AttackRun, draw: Callable[[AttackRun], None], curves: DeltaGenerator | None = None
) -> None:
    """Draw an attack again after each step until it has ended, and its charts, less often, in `curves`."""
    last = 0.0

    def draw_again(count: int) -> None:
        nonlocal last
        draw(attack_run)
        if curves and count >= FEWEST_STEPS and time.monotonic() - last > CHART_SECONDS:
            with curves.container():
                draw_charts(attack_run, attack_run.snapshot, count)
            last = time.monotonic()

    follow(attack_run, lambda: progress(attack_run), draw_again)


def progress(attack_run: AttackRun) -> Progress:
    """Step k of n at most."""
    from core.attacks import longest_run

    done = attack_run.trajectory.steps
    most = longest_run(attack_run.settings, len(attack_run.answer.probabilities))
    return Progress(done, most, f"Step {done:,} of at most {most:,}", at_most=True)


def draw_end(attack_run: AttackRun) -> None:
    """How the attack ended, and what came of it."""
    steps = attack_run.trajectory.steps
    draw_job_status(attack_run, f" after {counted(steps)}")
    if attack_run.outcome:
        st.markdown(f"**{cards.sentence(attack_run.before, attack_run.outcome.examination)}**")
    if steps:
        st.caption(f"{counted(steps)} in {attack_run.begun.seconds:.1f} s of computing.")


def draw_snapshot(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """The picture after a step."""
    from core.explanation import overlays

    name = "Original" if snapshot.step == 0 else f"After step {snapshot.step:,}"
    picture = overlays.model_png(snapshot.pixels, attack_run.before.frame.shape, attack_run.scan.spacing)
    st.image(picture, name, "stretch", output_format="PNG", alt=f"Scan {attack_run.scan.name}. {name}")


def draw_original(before: Examination, scan: Scan) -> None:
    """The scan as the networks see it, before anything is done to it."""
    from core.explanation import overlays

    picture = overlays.model_png(before.pixels, before.frame.shape, scan.spacing)
    st.image(picture, "Original", "stretch", output_format="PNG", alt=f"Scan {scan.name}. Original")


def draw_idle(before: Examination, scan: Scan) -> None:
    """The scan and its answer, before anything is done to it."""
    answer = answer_of(before)
    halves = st.grid(2, min_column_width=220)
    with halves.cell():
        draw_original(before, scan)
    with halves.cell():
        draw_share(answer.label, answer.confidence)
        st.markdown("Press **Attack** to see how long that lasts.")


def draw_steps(attack_run: AttackRun) -> None:
    """A slider over the steps that were kept, to look at any of them."""
    snapshots = attack_run.trajectory.snapshots
    if len(snapshots) < 3:
        return
    key = f"attack-step-{id(attack_run)}"
    steps = [snapshot.step for snapshot in snapshots]
    chosen = st.select_slider("Look at step", steps, attack_run.snapshot.step, key=key)
    attack_run.position = steps.index(chosen)


def look_as_asked(session: Session, attack_run: AttackRun | None, before: Examination) -> None:
    """Attack where the address asks for a step of it, and look at that."""
    if not asks_for_step(session):
        return
    if attack_run is None or (attack_run.settings, attack_run.seed) != (session.attack, session.attack_seed):
        begin(session, before)
        st.rerun()
    if not attack_run.running:
        place = place_asked(session, [snapshot.step for snapshot in attack_run.trajectory.snapshots])
        attack_run.position = attack_run.position if place is None else place


def draw_size(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """How far the scan was moved by then, and what drives it."""
    norm = attack_run.settings.norm
    st.markdown(f"Perturbation, {sign(norm)}: **{length(snapshot.size, norm)}**")
    if snapshot.loss is not None:
        st.markdown(f"Loss: **{number(snapshot.loss).replace('-', '−', 1)}**")


def draw_number(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """How probable the original answer still is."""
    draw_share(attack_run.label, snapshot.probability)


def draw_share(label: str, probability: float) -> None:
    """A probability in letters for the back row."""
    text = percent(probability)
    st.markdown(f"**Probability of “{label}”**")
    draw_large_number(text, f"Probability of “{label}”: {text}")
