"""What a visitor's choices come to: the scan opened, examined, attacked, each in this visitor's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.components.engine import bundle, heavy_work
from pages.components.state import Visit

if TYPE_CHECKING:
    from core import Examination, Scan


def examination(visit: Visit) -> Examination:
    """The result for what the visitor has chosen; computed only where the last one is of something else."""
    from core import examine

    scan, choices = visit.scan, visit.choices()
    assert scan is not None
    if visit.examination is None or visit.examined != choices:
        wanted = {"frame": visit.frame, "window": visit.window, "classifier": visit.classifier, "seed": visit.seed}
        name = visit.bundle
        visit.examination = heavy_work("Examining the scan …", lambda: examine(scan, bundle(name), **wanted))
        visit.examined = choices
    return visit.examination


def target_examination(visit: Visit) -> Examination:
    """The result for what an attack is aimed at: where the scan on the table is an attacked copy, for its origin."""
    from core import examine

    if visit.origin is None:
        return examination(visit)
    known, name = visit.origin_examination, visit.bundle
    classifier = bundle(name).classifier_name(visit.classifier)
    current = (name, classifier, visit.seed)
    if known is None or (known.bundle, known.undefended and known.undefended.classifier, known.seed) != current:
        scan, frame, window = visit.target()
        wanted = {"frame": frame, "window": window, "classifier": classifier, "seed": visit.seed}
        known = heavy_work("Examining the scan …", lambda: examine(scan, bundle(name), **wanted))
        visit.origin_examination = known
    return known


def open_scan(source: bytes | str, name: str | None = None) -> Scan:
    """Decode a scan in this visitor's turn: a large volume is heavy work too."""
    from core import load_scan

    return heavy_work("Opening the scan …", lambda: load_scan(source, name))


def attack(visit: Visit) -> None:
    """Replace the scan on the table by a copy attacked with PGD-40 at 8/255, and remember what it was."""
    from core.attacks import attack_scan

    scan, name, frame, classifier = visit.scan, visit.bundle, visit.frame, visit.classifier
    assert scan is not None
    examination(visit)  # the result before the attack
    attacked = heavy_work(
        "Attacking the scan: 40 steps of PGD at 8/255 …",
        lambda: attack_scan(scan, bundle(name), classifier=classifier, frame=frame),
    )
    visit.take_attacked(attacked)
