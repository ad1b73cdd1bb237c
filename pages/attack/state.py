"""One attack by one visitor, from the press of the button to what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pages.shared.examinations import answer_of, profile_in_force, with_thresholds
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle, exact_bundle, heavy_work
from pages.shared.session import AttackedCopy
from pages.shared.story.climb import keep_climb
from pages.shared.words import counted

if TYPE_CHECKING:
    from core import Examination, Prediction, Scan, Window
    from core.attacks import AttackSettings, AttackStep
    from core.defence.profile import Profile
    from core.fidelity.metrics import Distance
    from core.trajectories.attack import AttackTrajectory, Snapshot
    from pages.shared.session import Session


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


@dataclass(kw_only=True)
class AttackRun(PageState):
    """An attack that runs, or has ended.

    Attributes
    ----------
    scan, frame, window, before
        The target, and its result.
    settings, seed
        How it is attacked.
    profile : Profile or None
        The site's thresholds that defend it, where they aren't the bundle's own.
    trajectory : AttackTrajectory
        How it went so far.
    outcome : Outcome or None
        None until the attack has ended and the attacked scan has been examined.
    position : int or None
        Which snapshot is looked at; None for the last.
    """

    scan: Scan
    frame: int
    window: Window | None
    before: Examination
    settings: AttackSettings
    seed: int
    trajectory: AttackTrajectory
    profile: Profile | None = None
    outcome: Outcome | None = None
    position: int | None = None

    @property
    def answer(self) -> Prediction:
        """The answer that the attack is to change."""
        return answer_of(self.before)

    @property
    def label(self) -> str:
        """What that answer says."""
        return self.answer.label

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is looked at."""
        snapshots = self.trajectory.snapshots  # once: the worker thins them meanwhile
        return snapshots[-1 if self.position is None else min(self.position, len(snapshots) - 1)]

    def outlives(self, attacked_copy: bool) -> bool:
        """The attack that a copy comes from stays to be looked at."""
        return attacked_copy

    def move(self, by: int) -> None:
        """Look at a snapshot further on, or further back where negative; no further than the first and the last."""
        last = len(self.trajectory.snapshots) - 1
        place = last if self.position is None else self.position
        self.position = min(max(place + by, 0), last)


def current_attack_run(session: Session) -> AttackRun | None:
    """The visitor's attack, if any; one on what is no longer chosen is stopped and forgotten."""
    return session.current(AttackRun, session.target_choices())


def begin(session: Session, before: Examination) -> None:
    """Start the attack that the visitor has set up; whatever came of an earlier one is dropped."""
    from core.trajectories.attack import AttackTrajectory

    scan, frame, window = session.target()
    settings, seed, answer = session.attack, session.attack_seed, answer_of(before)
    assert scan is not None and settings is not None
    network = bundle(before.bundle).classifiers[answer.classifier]
    label = list(answer.probabilities).index(answer.label)
    trajectory = AttackTrajectory(before.pixels, label, answer.confidence, network, settings.norm)
    attack_run = AttackRun(
        choices=session.target_choices(),
        scan=scan,
        frame=frame,
        window=window,
        before=before,
        settings=settings,
        seed=seed,
        trajectory=trajectory,
        profile=profile_in_force(session),
    )
    session.keep(attack_run).start(_steps(attack_run), trajectory.take)


def _steps(run: AttackRun) -> Iterator[AttackStep]:
    from core.attacks import attack_pixels, attackable_pixels, sees_defence

    models = with_thresholds((exact_bundle if sees_defence(run.settings) else bundle)(run.before.bundle), run.profile)
    pixels = attackable_pixels(run.scan, models, run.frame, run.window)
    seeds = {"seed": run.seed, "detector_seed": run.before.seed}  # `_judged` examines with the latter
    yield from attack_pixels(pixels, models, run.settings, classifier=run.answer.classifier, **seeds)


def judge(session: Session, run: AttackRun) -> None:
    """Write the attacked scan, read it back, and examine what was read; nothing where no step was taken."""
    if run.outcome is None and run.trajectory.result is not None:
        done = run.outcome = heavy_work("Examining the attacked scan …", lambda: _judged(run))
        session.attacked_copy = AttackedCopy(done.scan, run.before, run.choices, run.settings, run.seed)
        keep_climb(session, done.scan, run.trajectory)


def _judged(attack_run: AttackRun) -> Outcome:
    from core import examine, load_scan
    from core.attacks import displayable
    from core.fidelity.metrics import distance
    from core.scans import derived_dicom, derived_png

    attack_run.trajectory.finish()
    result, before = attack_run.trajectory.result, attack_run.before
    models = with_thresholds(bundle(before.bundle), attack_run.profile)
    assert result is not None
    attacked = displayable(result)
    dicom = derived_dicom(
        attacked,
        kind="attacked",
        description=describe(attack_run),
        modality=models.written_modality,
        source=attack_run.scan,
        prepared=True,
    )
    scan = load_scan(dicom, name=f"{attack_run.scan.name} (attacked)")
    exam = examine(scan, models, classifier=attack_run.answer.classifier, seed=before.seed)
    return Outcome(scan, exam, distance(before.pixels, exam.pixels), dicom, derived_png(attacked, kind="attacked"))


def describe(attack_run: AttackRun) -> str:
    """What the attacked file says of itself; of an attack that did not come to its own end it says so."""
    from core.attacks import describe_attack

    models, steps, job = bundle(attack_run.before.bundle), attack_run.trajectory.steps, attack_run.begun
    text = describe_attack(attack_run.settings, models, steps, classifier=attack_run.answer.classifier)
    why = None
    if job.error:
        why = "Ended by an error"
    elif job.cut_short:
        why = "Stopped as nobody watched" if job.abandoned else "Stopped by hand"
    return f"{text} {why} after {counted(steps)}." if why else text
