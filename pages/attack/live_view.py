"""An attack as it climbs: the picture, the probability, and three small charts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from pages.attack.state import AttackRun
from pages.attack.verdict import summary
from pages.shared import charts
from pages.shared.jobs import sentence, watch
from pages.shared.large_number import draw_huge
from pages.shared.pictures import averaged
from pages.shared.words import counted, length, number, percent, plain, sign

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core import Examination, Scan
    from core.trajectories.attack import Snapshot

DIFFERENCE_GAIN = 20
# On two cores, drawing and the browser take their time from the attack, and charts take most of it.
CHART_SECONDS = 2.0


def follow(
    attack_run: AttackRun,
    draw: Callable[[AttackRun], None],
    stage: DeltaGenerator,
    curves: DeltaGenerator | None = None,
) -> None:
    """Draw an attack again and again until it has ended: in `stage`, and its charts, less often, in `curves`."""
    last = 0.0

    def draw_again() -> None:
        nonlocal last
        with stage.container():
            draw(attack_run)
        if curves and time.monotonic() - last > CHART_SECONDS:
            with curves.container():
                draw_charts(attack_run, attack_run.snapshot)
            last = time.monotonic()

    draw_again()
    watch(attack_run.job, draw_again)


def draw_progress(attack_run: AttackRun) -> None:
    """Step k of n, the time so far, and how much is to come."""
    from core.attacks import longest_run

    job, done = attack_run.job, attack_run.trajectory.steps
    most = longest_run(attack_run.settings, len(attack_run.before.undefended.probabilities))
    parts = [
        f"Step {done:,} of at most {most:,}",
        f"{job.seconds:.1f} s of computing",
    ]
    if job.seconds > 2 and 0 < done < most:
        parts.append(f"at most {job.seconds / done * (most - done):.0f} s to come")
    if job.ahead:
        parts.append("taking turns with other visitors")
    st.progress(min(1.0, done / most), " · ".join(parts))


def draw_ending(attack_run: AttackRun) -> None:
    """How the attack ended, where it did not come to its own end, and what came of it."""
    job, steps = attack_run.job, attack_run.trajectory.steps
    if job.error:
        st.error(plain(sentence(job.error)), icon=":material/error:")
    elif job.cut_short:
        why = ", as nobody was watching" if job.abandoned else ""
        text = f"Stopped after {counted(steps)}{why}. What is shown is how far it had come."
        st.info(text, icon=":material/stop_circle:")
    if attack_run.outcome:
        st.markdown(f"**{summary(attack_run, attack_run.outcome.examination)}**")
    if steps:
        st.caption(f"{counted(steps)} in {job.seconds:.1f} s of computing.")


def draw_snapshot(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """The picture after a step."""
    from core.explanation import overlays

    name = "Original" if snapshot.step == 0 else f"After step {snapshot.step:,}"
    picture = overlays.model_png(snapshot.pixels, attack_run.before.frame.shape, attack_run.scan.spacing)
    st.image(picture, name, "stretch", alt=f"Scan {attack_run.scan.name}. {name}")


def draw_difference(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """What the steps so far have changed, amplified, with signed colours."""
    from core.explanation import overlays

    title = f"Difference × {DIFFERENCE_GAIN}{averaged(snapshot.pixels)}: brighter is red, darker is blue"
    limit, shape = 0.5 / DIFFERENCE_GAIN, attack_run.before.frame.shape
    picture = overlays.residual_png(
        attack_run.trajectory.snapshots[0].pixels, snapshot.pixels, limit, shape, attack_run.scan.spacing
    )
    st.image(picture, title, "stretch", alt=f"{title}, after step {snapshot.step}")


def draw_original(before: Examination, scan: Scan) -> None:
    """The scan as the networks see it, before anything is done to it."""
    from core.explanation import overlays

    picture = overlays.model_png(before.pixels, before.frame.shape, scan.spacing)
    st.image(picture, "Original", "stretch", alt=f"Scan {scan.name}. Original")


def draw_idle(before: Examination, scan: Scan) -> None:
    """The scan and its answer, before anything is done to it."""
    answer = before.undefended
    assert answer
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


def draw_size(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """How far the scan was moved by then, and what drives it."""
    norm = attack_run.settings.norm
    st.markdown(f"Perturbation, {sign(norm)}: **{length(snapshot.size, norm)}**")
    if snapshot.loss is not None:
        st.markdown(f"Loss: **{number(snapshot.loss).replace('-', '−', 1)}**")


def draw_number(attack_run: AttackRun, snapshot: Snapshot) -> None:
    """How probable the original answer still is."""
    draw_share(attack_run.label, snapshot.probability)


def draw_share(label: str, probability: float | None) -> None:
    """A probability in letters for the back row."""
    text = "unknown" if probability is None else percent(probability)
    st.markdown(f"**Probability of “{label}”**")
    draw_huge(text, f"Probability of “{label}”: {text}")


def draw_charts(attack_run: AttackRun, now: Snapshot) -> None:
    """Probability, loss and size of the perturbation over the steps, each in a chart of its own."""
    snapshots, norm = attack_run.trajectory.snapshots, attack_run.settings.norm
    if len(snapshots) < 3:
        return
    grid = st.grid(3, min_column_width=150)
    unit, factor = (" in 1/255", 255) if norm == "linf" else ("", 1)
    curves = (
        ("Probability, %", [(snapshot.step, snapshot.probability) for snapshot in snapshots], 100, [0, 100]),
        ("Loss", [(snapshot.step, snapshot.loss) for snapshot in snapshots], 1, None),
        (f"Perturbation, {sign(norm)}{unit}", [(snapshot.step, snapshot.size) for snapshot in snapshots], factor, None),
    )
    for title, points, scale, span in curves:
        known = [(step, scale * value) for step, value in points if value is not None]
        with grid.cell():
            st.markdown(f"**{title}**")
            _draw_curve(title, known, now.step, span)


def _draw_curve(title: str, points: list[tuple[int, float]], now: int, span: list[float] | None) -> None:
    if not points:
        st.caption("This attack doesn't say.")
        return
    (first, start), (last, end) = points[0], points[-1]
    st.plotly_chart(
        charts.curve(points, now, span),
        height=charts.CURVE_HEIGHT,
        config={"displayModeBar": False},
        alt=f"{title}: {number(start)} at step {first}, {number(end)} at step {last}",
    )
