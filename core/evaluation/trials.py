"""One scan before and after an attack on it, now."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from core import compute
from core.attacks import AttackSettings, attack_pixels, attackable_pixels
from core.bundles import Bundle
from core.defence.decision import decide_recorded
from core.evaluation.responses import respond
from core.scans import Scan


class Trial(NamedTuple):
    """One scan before and after an attack on it.

    classes by name: `answer` before, `attacked` after, `defended` after with the whole defence, None where refused;
    flagged_clean, flagged_attacked, altered_clean, altered_attacked: the detector's verdict, the latter two None where
    the bundle doesn't ask; scores: of the attacked scan.
    """

    scan: str
    answer: str
    attacked: str
    defended: str | None
    flagged_clean: bool
    flagged_attacked: bool
    scores: Mapping[str, float]
    altered_clean: bool | None = None
    altered_attacked: bool | None = None


def trial_steps(
    scan: Scan, bundle: Bundle, settings: AttackSettings, *, classifier: str | None = None, seed: int = 0
) -> Iterator[Trial | None]:
    """Attack the classifier's own answer to a scan and judge both: None for each step of the attack, then the trial.

    Raises
    ------
    ValueError
        A parameter out of range, a scan that the bundle doesn't take, or a bundle without a detector; one sentence.
    """
    name = bundle.classifier_name(classifier)
    limits = [bundle.limits_of(name)]
    before = after = attackable_pixels(scan, bundle).to(compute.device())
    for step in attack_pixels(before, bundle, settings, classifier=name, seed=seed):
        after = step.attacked
        yield None
    answers = [respond(pixels, before, bundle, name, seed) for pixels in (before, after)]
    clean, changed = (decide_recorded(part, limits) for part in answers)
    asked = bool(limits[0].altered)
    yield Trial(
        scan=scan.name,
        answer=bundle.classes[answers[0].undefended[0]],
        attacked=bundle.classes[answers[1].undefended[0]],
        defended=None if changed.refused[0] else bundle.classes[changed.answers[0]],
        flagged_clean=bool(clean.flagged[0]),
        flagged_attacked=bool(changed.flagged[0]),
        scores={score: values[0] for score, values in answers[1].scores.items()},
        altered_clean=bool(clean.altered[0]) if asked else None,
        altered_attacked=bool(changed.altered[0]) if asked else None,
    )
