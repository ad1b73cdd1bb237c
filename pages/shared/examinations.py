"""What a visitor's choices come to: the scan opened, examined, attacked, each in this visitor's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.shared.runtime import bundle, heavy_work, heavy_work_together, work_aside
from pages.shared.session import Session
from pages.shared.worker import Batch

if TYPE_CHECKING:
    from core import Examination, Prediction, Scan, Window


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
    name, seed = session.bundle, session.seed
    batch: Batch[Request, Examination] = Batch(
        kind=("examination", name, classifier),
        most=batch_size(),
        work=lambda requests: examine_batch(requests, bundle(name), classifier=classifier),
    )
    return heavy_work_together("Examining the scan …", Request(scan, frame, window, seed), batch)


def answer_of(exam: Examination) -> Prediction:
    """The classifier's own answer to a scan that it was not refused."""
    assert exam.undefended is not None
    return exam.undefended


def open_scan(source: bytes | memoryview | str, name: str | None = None) -> Scan:
    """Open a file beside all other work, in a process of its own; whoever leaves meanwhile ends it."""
    from core.scans import begin_loading

    opening = begin_loading(source, name)
    return work_aside("Opening the scan …", opening.finish, opening.cancel)


def attack(session: Session) -> None:
    """Replace the open scan by a copy attacked with PGD-40 at 8/255, and remember what it was."""
    from core.attacks import attack_scan

    scan, name, frame, classifier = session.scan, session.bundle, session.frame, session.classifier
    assert scan is not None
    examination(session)  # the result before the attack
    attacked = heavy_work(
        "Attacking the scan: 40 steps of PGD at 8/255 …",
        lambda: attack_scan(scan, bundle(name), classifier=classifier, frame=frame),
    )
    session.take_attacked(attacked)
