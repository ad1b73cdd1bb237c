"""What a visitor's choices come to: the scan opened, examined, attacked, each in this visitor's turn."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.runtime import bundle, heavy_work, heavy_work_together
from pages.shared.session import Session, current_session
from pages.shared.story.climb import begin_climb, keep_climb
from pages.shared.worker import Batch

if TYPE_CHECKING:
    from core import Bundle, Examination, Prediction, Scan, Window
    from core.attacks import AttackSettings
    from core.defence.profile import Profile
    from core.evaluation.reliability import Reliability
    from core.scans import Sample


def samples(bundle: str = "") -> dict[str, Sample]:
    """The samples on this machine for a bundle, or the visitor's, by key, real ones first."""
    return dict(_samples(bundle or current_session().bundle))


@cache
def _samples(bundle: str) -> dict[str, Sample]:
    """Looked for once: a server in use gets no new ones."""
    from core.scans import sample_scans

    return {sample.key: sample for sample in sample_scans(bundle)}


def profile_in_force(session: Session) -> Profile | None:
    """The visitor's profile where it is for what the visitor has chosen; None where the bundle's thresholds hold."""
    profile, name = session.profile, session.bundle
    if profile is None or profile.bundle != name:
        return None
    return profile if profile.classifier == bundle(name).classifier_name(session.classifier) else None


def with_thresholds(models: Bundle, profile: Profile | None) -> Bundle:
    """A bundle with a site's thresholds, if any."""
    from core.defence.profile import with_profile

    return with_profile(models, profile)


def models_in_force(session: Session) -> Bundle:
    """The visitor's bundle, with the thresholds of the visitor's profile where it is for it."""
    return with_thresholds(bundle(session.bundle), profile_in_force(session))


def lacking(session: Session) -> str | None:
    """Why nothing is detected or purified with what the visitor has chosen, in one sentence; None where it is."""
    return models_in_force(session).lacks_for(session.classifier)


def examination(session: Session) -> Examination:
    """The result for what the visitor has chosen; computed only where the last one is of something else."""
    scan, choices = session.scan, session.choices()
    assert scan is not None
    if session.examination is None or session.examined != choices:
        session.examination = _examined(session, scan, session.frame, session.window, session.classifier)
        session.examined = choices
    return session.examination


def target_examination(session: Session) -> Examination:
    """The result for what an attack is aimed at: where the open scan is an attacked copy, for its origin."""
    if session.origin is None:
        return examination(session)
    known, name = session.origin_examination, session.bundle
    classifier = bundle(name).classifier_name(session.classifier)
    current = (name, classifier, session.seed)
    if known is None or (known.bundle, known.undefended and known.undefended.classifier, known.seed) != current:
        _, frame, window = session.target()
        known = session.origin_examination = _examined(session, session.origin, frame, window, classifier)
    return known


def _examined(session: Session, scan: Scan, frame: int, window: Window | None, classifier: str | None) -> Examination:
    from core.compute import batch_size
    from core.defence.pipeline import Request, examine_batch

    # Not within the work: it is done in another thread, and a session belongs to the thread of its page.
    name, seed, profile = session.bundle, session.seed, profile_in_force(session)
    batch: Batch[Request, Examination] = Batch(
        kind=("examination", name, classifier, profile and profile.key),
        most=batch_size(),
        work=lambda requests: examine_batch(requests, with_thresholds(bundle(name), profile), classifier=classifier),
    )
    return heavy_work_together("Examining the scan …", Request(scan, frame, window, seed), batch)


def answer_of(exam: Examination) -> Prediction:
    """The classifier's own answer to a scan that it was not refused."""
    assert exam.undefended is not None
    return exam.undefended


def reliability_of(models: Bundle, classifier: str) -> Reliability:
    """What the calibration scans of a bundle tell of one classifier's answers; made once."""
    return _reliability((models.name, classifier, *models.hashes.values()), models, classifier)


@st.cache_resource(show_spinner=False, max_entries=8)
def _reliability(key: tuple[str, ...], _models: Bundle, classifier: str) -> Reliability:
    from core.evaluation.reliability import reliability

    return reliability(_models.calibrations[classifier])


def attack(session: Session, settings: AttackSettings | None = None, seed: int = 0) -> None:
    """Replace the open scan by a copy attacked as `settings` say, PGD-40 at 8/255 where None, and remember what it was.

    ValueError where it can't be attacked so; one sentence.
    """
    from core.attacks import PGD, attack_scan

    settings, models = settings or PGD, bundle(session.bundle)
    scan, frame, window = session.target()
    assert scan is not None
    before = target_examination(session)
    climb = begin_climb(before, settings, models)
    work = partial(attack_scan, scan, models, settings, classifier=session.classifier, seed=seed)
    attacked = heavy_work("Attacking the scan …", partial(work, frame=frame, window=window, watch=climb.take))
    session.take_attacked(attacked, before, settings, seed)
    keep_climb(session, attacked, climb)


def attacked_otherwise(session: Session) -> str | None:
    """Whom the open copy was made to deceive, in words; None where that is who is asked now, or nothing was attacked.

    Such a copy is another one than the same attack makes of the scan now.
    """
    (name, attacked), now = session.attacked_models, session.classifier
    if session.origin is None or session.attacked_by is None or (name, attacked) == (session.bundle, now):
        return None
    if name != session.bundle:
        return f"{f'the classifier {attacked}' if attacked else 'the default classifier'} of the bundle {name}"
    attacked, now = map(bundle(name).classifier_name, (attacked, now))
    return None if attacked == now else f"the classifier {attacked}"


def take_copy(session: Session, settings: AttackSettings, seed: int) -> bool:
    """Open the copy that the Attack page made last; False where it is of another attack, slice, window or models."""
    copy = session.attacked_copy
    if copy is None or (copy.settings, copy.seed, copy.choices) != (settings, seed, session.target_choices()):
        return False
    session.take_attacked(copy.scan, copy.before, settings, seed)
    return True


def take_original(session: Session) -> None:
    """Open what was attacked, as it was; the attack stays to be looked at on its page."""
    scan, frame, window = session.target()
    if session.origin is not None and scan is not None:
        session.take(scan, session.sample, attacked_copy=True)
        session.frame, session.window = frame, window
