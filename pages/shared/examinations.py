"""What a visitor's choices come to: the scan opened, examined, attacked, each in this visitor's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.shared.runtime import bundle, heavy_work
from pages.shared.session import Session

if TYPE_CHECKING:
    from core import Examination, Scan


def examination(session: Session) -> Examination:
    """The result for what the visitor has chosen; computed only where the last one is of something else."""
    from core import examine

    scan, choices = session.scan, session.choices()
    assert scan is not None
    if session.examination is None or session.examined != choices:
        wanted = {
            "frame": session.frame,
            "window": session.window,
            "classifier": session.classifier,
            "seed": session.seed,
        }
        name = session.bundle
        session.examination = heavy_work("Examining the scan …", lambda: examine(scan, bundle(name), **wanted))
        session.examined = choices
    return session.examination


def target_examination(session: Session) -> Examination:
    """The result for what an attack is aimed at: where the scan on the table is an attacked copy, for its origin."""
    from core import examine

    if session.origin is None:
        return examination(session)
    known, name = session.origin_examination, session.bundle
    classifier = bundle(name).classifier_name(session.classifier)
    current = (name, classifier, session.seed)
    if known is None or (known.bundle, known.undefended and known.undefended.classifier, known.seed) != current:
        scan, frame, window = session.target()
        wanted = {"frame": frame, "window": window, "classifier": classifier, "seed": session.seed}
        known = heavy_work("Examining the scan …", lambda: examine(scan, bundle(name), **wanted))
        session.origin_examination = known
    return known


def open_scan(source: bytes | str, name: str | None = None) -> Scan:
    """Decode a scan in this visitor's turn: a large volume is heavy work too."""
    from core import load_scan

    return heavy_work("Opening the scan …", lambda: load_scan(source, name))


def attack(session: Session) -> None:
    """Replace the scan on the table by a copy attacked with PGD-40 at 8/255, and remember what it was."""
    from core.attacks import attack_scan

    scan, name, frame, classifier = session.scan, session.bundle, session.frame, session.classifier
    assert scan is not None
    examination(session)  # the result before the attack
    attacked = heavy_work(
        "Attacking the scan: 40 steps of PGD at 8/255 …",
        lambda: attack_scan(scan, bundle(name), classifier=classifier, frame=frame),
    )
    session.take_attacked(attacked)
