"""The detector put to the test live: attack the sample scans, and see what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from pages.detect.record import score_text
from pages.shared.examinations import models_in_force, profile_in_force, samples
from pages.shared.job_status import Progress, draw_job_status, draw_stop, follow
from pages.shared.page_state import PageState
from pages.shared.session import Session
from pages.shared.visit.stage import say, staged
from pages.shared.words import heading, method_title, number, score_words

if TYPE_CHECKING:
    from core import Bundle
    from core.attacks import AttackSettings
    from core.evaluation.trials import Trial

STANDS = "Answer stands, defended"
# Those that take seconds a scan; the Attack page has them all.
METHODS = ("pgd", "fgsm", "apgd", "cw", "deepfool")


@dataclass(kw_only=True)
class TrialsState(PageState):
    """One run over the samples.

    total: scans in all; done: the trials so far.
    """

    settings: AttackSettings
    done: list[Trial] = field(default_factory=list)

    def outlives(self, attacked_copy: bool) -> bool:
        """It is about the samples, whatever scan is open."""
        return True

    def take(self, trial: Trial | None) -> None:
        """Note a trial; a step within one is nothing to note."""
        if trial is not None:
            self.done.append(trial)


def _steps(
    paths: list[str], models: Bundle, classifier: str, settings: AttackSettings, seed: int
) -> Iterator[Trial | None]:
    from core import load_scan
    from core.evaluation.trials import trial_steps

    for path in paths:
        yield from trial_steps(load_scan(path), models, settings, classifier=classifier, seed=seed)


def _begin(session: Session, classifier: str, settings: AttackSettings) -> None:
    paths = [str(sample.path) for sample in samples().values() if sample.origin == "synthetic"]
    state = session.keep(TrialsState(choices=_choices(session, classifier), settings=settings))
    steps = _steps(paths, models_in_force(session), classifier, settings, session.seed)
    state.start(steps, state.take, total=len(paths))


def _choices(session: Session, classifier: str) -> tuple[object, ...]:
    profile = profile_in_force(session)
    return session.bundle, classifier, profile and profile.key


def current_trials(session: Session, classifier: str) -> TrialsState | None:
    """The visitor's test; one of another bundle or classifier is stopped and forgotten."""
    return session.current(TrialsState, _choices(session, classifier))


def draw_trials(session: Session, classifier: str, trials: TrialsState | None) -> None:
    """Attack and ε, the button, and what came of it."""
    from core.attacks import AttackSettings

    st.markdown(
        "This runs an attack and the detector now, on the **bundled sample scans**. These are synthetic: our own "
        "diffusion model drew them. They are not the validation scans behind the other figures, and they are few."
    )
    running = trials is not None and trials.running
    grid = st.grid(2, min_column_width=220)
    with grid.cell():
        method = st.selectbox(
            "Attack", METHODS, format_func=method_title, key="trial-attack", disabled=running, persist_state="session"
        )
    with grid.cell():
        eps = st.slider(
            "Budget ε, in 1/255", 0.5, 16.0, 8.0, 0.5, key="trial-eps", disabled=running, persist_state="session"
        )
    # The empty place leaves nothing on the page of what was there before the run.
    idle = st.empty() if running else st.container()
    if trials and running:
        draw_stop(trials, "trial-stop")
        follow(trials, lambda: _progress(trials), lambda _: _draw_rows(trials))
        # It has ended while it was being drawn: the button changes.
        st.rerun()
    with idle:
        _draw_idle(session, classifier, AttackSettings(method, eps=eps), trials)


def _draw_idle(session: Session, classifier: str, settings: AttackSettings, trials: TrialsState | None) -> None:
    args = (session, classifier, settings)
    label = "Recompute on these scans"
    st.button(label, icon=":material/play_arrow:", type="primary", on_click=_begin, args=args, key="trial-start")
    if trials is not None:
        draw_job_status(trials, f" after {len(trials.done)} of {trials.total} scans")
        draw_result(trials)


def _progress(trials: TrialsState) -> Progress:
    done, total = len(trials.done), trials.total
    return Progress(done, total, f"{done} of {total} scans")


def draw_result(trials: TrialsState) -> None:
    """What came of the scans that are done, in counts and one by one."""
    done = trials.done
    if not done:
        return
    counts: tuple[tuple[str, int], ...] = (
        ("Flagged before the attack", sum(trial.flagged_clean for trial in done)),
        ("Fooled, undefended", sum(trial.attacked != trial.answer for trial in done)),
        ("Flagged after the attack", sum(trial.flagged_attacked for trial in done)),
        (STANDS, sum(trial.defended == trial.answer for trial in done)),
    )
    if done[0].altered_attacked is not None:
        counts += (
            ("Altered before the attack", sum(bool(trial.altered_clean) for trial in done)),
            ("Altered after the attack", sum(bool(trial.altered_attacked) for trial in done)),
        )
    flagged = sum(trial.flagged_attacked for trial in done)
    say(f"**{flagged} of {len(done)}** attacked sample scans are flagged, and {dict(counts)[STANDS]} answers stand.")
    with staged():
        grid = st.grid(len(counts), min_column_width=165)
        for title, count in counts:
            grid.metric(title, f"{count} of {len(done)}", border=True)
    _draw_rows(trials)
    settings, whose = trials.settings, "the site profile’s" if trials.choices[2] else "the bundle’s own"
    assert settings.method
    st.caption(
        f"n = {len(done)} of {trials.total} synthetic samples, {method_title(settings.method)}, "
        f"ε = {number(settings.eps)}/255, classifier {trials.choices[1]} with {whose} thresholds, "
        f"computed now, {trials.begun.seconds:.1f} s. So few scans make no accuracy. "
        "The attack aims away from the first answer."
    )


def _draw_rows(trials: TrialsState) -> None:
    rows = [
        {
            "Scan": trial.scan.removesuffix(".dcm"),
            "Before": heading(trial.answer),
            "Undefended": heading(trial.attacked),
            "Flagged": "yes" if trial.flagged_attacked else "no",
            **({} if trial.altered_attacked is None else {"Altered": "yes" if trial.altered_attacked else "no"}),
            "Defended": heading(trial.defended) if trial.defended else "refused",
        }
        | {score_words(name).name: score_text(value) for name, value in trial.scores.items()}
        for trial in list(trials.done)
    ]
    if rows:
        st.table(rows, hide_index=True)
