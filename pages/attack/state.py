"""One attack by one visitor, from the press of the button to what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pages.shared.jobs import Run
from pages.shared.runtime import bundle, engine, exact_bundle, heavy_work
from pages.shared.words import counted

if TYPE_CHECKING:
    from core import Examination, Scan, Window
    from core.attacks import AttackSettings, AttackStep
    from core.fidelity.metrics import Distance
    from core.trajectories.attack import AttackTrajectory, Snapshot
    from pages.shared.session import Session


STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What an attack came to: the attacked scan as read back from its file, its result, and how far it is away.

    dicom, png: the attacked scan as files.
    """

    scan: Scan
    examination: Examination
    distance: Distance
    dicom: bytes
    png: bytes


@dataclass
class Bout:
    """An attack that runs, or has ended.

    Attributes
    ----------
    choices : tuple
        `Session.target_choices` of its target: of another one it tells nothing.
    scan, frame, window, before
        The target, and its result.
    settings, seed
        How it is attacked.
    course, run
        How it went so far, and who does it.
    outcome : Outcome or None
        None until the attack has ended and the attacked scan has been examined.
    position : int or None
        Which mark of the course is looked at; None for the last.
    """

    choices: tuple[object, ...]
    scan: Scan
    frame: int
    window: Window | None
    before: Examination
    settings: AttackSettings
    seed: int
    trajectory: AttackTrajectory
    run: Run[AttackStep]
    outcome: Outcome | None = None
    position: int | None = None

    @property
    def label(self) -> str:
        """The answer that the attack is to change."""
        assert self.before.undefended
        return self.before.undefended.label

    @property
    def running(self) -> bool:
        """Whether more steps are to come."""
        return not self.run.done

    @property
    def snapshot(self) -> Snapshot:
        """The mark that is looked at."""
        snapshots = self.trajectory.snapshots  # once: the worker thins them meanwhile
        return snapshots[-1 if self.position is None else min(self.position, len(snapshots) - 1)]

    def move(self, by: int) -> None:
        """Look at a mark further on, or further back where negative; no further than the first and the last."""
        last = len(self.trajectory.snapshots) - 1
        place = last if self.position is None else self.position
        self.position = min(max(place + by, 0), last)


def current_bout(session: Session) -> Bout | None:
    """The visitor's attack; one on what is no longer chosen is stopped and forgotten."""
    if session.bout and session.bout.choices != session.target_choices():
        session.bout.run.stop()
        session.bout = None
    if session.bout and session.bout.run.stopped:
        session.bout.run.wait(STOP_SECONDS)  # it is at its last step: not worth drawing it as running once more
    return session.bout


def begin(session: Session, before: Examination) -> None:
    """Start the attack that the visitor has set up; whatever came of an earlier one is dropped."""
    from core.attacks import sees_defence
    from core.trajectories.attack import AttackTrajectory

    if session.bout:
        session.bout.run.stop()
    scan, frame, window = session.target()
    settings, seed, answer = session.attack, session.attack_seed, before.undefended
    assert scan is not None and settings is not None and answer is not None
    # What the defence answers differs from call to call and takes long: a mark then tells what the attack was told.
    network = None if sees_defence(settings) else bundle(before.bundle).classifiers[answer.classifier]
    label = list(answer.probabilities).index(answer.label)
    trajectory = AttackTrajectory(before.pixels, label, answer.confidence, settings.norm, network)
    steps = _steps(scan, frame, window, before, settings, seed)
    run = Run(engine().worker, steps, trajectory.take)
    session.bout = Bout(session.target_choices(), scan, frame, window, before, settings, seed, trajectory, run)
    run.start()


def _steps(
    scan: Scan, frame: int, window: Window | None, before: Examination, settings: AttackSettings, seed: int
) -> Iterator[AttackStep]:
    from core.attacks import attack_pixels, attackable_pixels, sees_defence

    models = (exact_bundle if sees_defence(settings) else bundle)(before.bundle)
    pixels = attackable_pixels(scan, models, frame, window)
    yield from attack_pixels(pixels, models, settings, classifier=before.undefended.classifier, seed=seed)


def judge(bout: Bout) -> None:
    """Write the attacked scan, read it back, and examine what was read; nothing where no step was taken."""
    if bout.outcome is None and bout.trajectory.result is not None:
        bout.outcome = heavy_work("Examining the attacked scan …", lambda: _judged(bout))


def _judged(bout: Bout) -> Outcome:
    from core import examine, load_scan
    from core.attacks import displayable
    from core.fidelity.metrics import distance
    from core.scans import derived_dicom, derived_png

    bout.trajectory.finish()
    attacked = displayable(bout.trajectory.result)
    description, before, models = describe(bout), bout.before, bundle(bout.before.bundle)
    how = {"kind": "attacked", "modality": models.written_modality, "source": bout.scan}
    dicom = derived_dicom(attacked, description=description, **how)
    scan = load_scan(dicom, name=f"{bout.scan.name} (attacked)")
    exam = examine(scan, models, classifier=before.undefended.classifier, seed=before.seed)
    png = derived_png(attacked, kind="attacked")
    return Outcome(scan, exam, distance(before.pixels, exam.pixels), dicom, png)


def describe(bout: Bout) -> str:
    """What the attacked file says of itself; of an attack that did not come to its own end it says so."""
    from core.attacks import describe_attack

    before, steps = bout.before, bout.trajectory.steps
    text = describe_attack(bout.settings, bundle(before.bundle), steps, classifier=before.undefended.classifier)
    why = None
    if bout.run.error:
        why = "Ended by an error"
    elif bout.run.cut_short:
        why = "Stopped as nobody watched" if bout.run.abandoned else "Stopped by hand"
    return f"{text} {why} after {counted(steps)}." if why else text


def file_name(bout: Bout, ending: str) -> str:
    """A name for the attacked scan as a file, without signs that some system forbids."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(bout.scan.name).stem).strip("-") or "scan"
    return f"{stem}-attacked.{ending}"
