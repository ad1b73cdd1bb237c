"""The protocol for attackers who know the defence: fixed scans, one attack, four readings of what comes of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.attacks import ATTACKS, AttackSettings, DefendedModel, attack_steps, attack_target, find_method, sees_defence
from core.attacks.attempts import lengths
from core.attacks.gradient import radius
from core.bundles import Bundle, BundleError, weights_record
from core.bundles.calibration import Limits
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.evaluation import own_limits
from core.evaluation.journal import Journal, fingerprint
from core.evaluation.white_box.readings import READINGS, ScanReading, read_scans, reading_report
from core.statistics import bootstrap_interval

Progress = Callable[[int], None]


@dataclass(frozen=True)
class _Batch:
    """Some of the scans: their places in the data set, and the defence that judges them, which never saw them."""

    places: np.ndarray
    defence: Bundle


def attack_and_read(
    data: Dataset,
    bundle: Bundle,
    attack: AttackSettings,
    *,
    classifier: str | None = None,
    seed: int = 0,
    resume: Path | None = None,
    progress: Progress = lambda images: None,
) -> dict[str, Any]:
    """Attack every scan and read what the defence answers.

    The attacker faces the very defence that answers: cross-fitted thresholds, which never saw the scan, and the
    detector's noise. Where the attack goes through the purifier, the reading "fixed" is of an attack of its own, on the
    defence with the noise that is then used; EOT has nothing to average there.

    Parameters
    ----------
    data : Dataset
        See `core.evaluation.selection.spread_evenly`.
    attack : AttackSettings
        No attack where its method is None.
    resume : Path, optional
        A file in which the scans' readings are kept as they come; a run that was cut off goes on from it.
    progress : callable
        Called with the number of scans done since the last call.

    Returns
    -------
    dict
        n; undefended and its interval; longest, the largest change in units of ε; readings, by name, each as
        `core.evaluation.white_box.readings.reading_report` gives it.

    Raises
    ------
    ValueError
        A parameter is out of range, `resume` holds another run, or the bundle has no defence; one sentence.
    """
    name = bundle.classifier_name(classifier)
    if bundle.lacks:
        raise BundleError(bundle.lacks)
    if attack.method:
        find_method(attack)
    limits = own_limits(data, bundle, name)
    journal = Journal(resume, run_record(data, bundle, name, attack, seed, limits)) if resume else None
    known = {line["scan"]: ScanReading(**line["reading"]) for line in journal.lines} if journal else {}
    for batch in _batches(limits, bundle, name):
        missing = [place for place in batch.places.tolist() if place not in known]
        if missing:
            found = _measured(data, missing, batch.defence, name, attack, seed)
            for place, reading in zip(missing, found):
                known[place] = reading
                if journal:
                    journal.add({"scan": place, "reading": asdict(reading)})
        progress(len(batch.places))
    return _report([known[place] for place in range(len(data))], data.groups)


def run_record(
    data: Dataset, bundle: Bundle, classifier: str, attack: AttackSettings, seed: int, limits: Sequence[Limits]
) -> dict[str, Any]:
    """Everything that a row depends on."""
    return {
        "attack": asdict(attack),
        "seed": seed,
        "classifier": classifier,
        "scans": fingerprint({"digests": [image_digest(pixels) for pixels in data.pixels]}),
        "weights": weights_record(bundle, classifier),
        "limits": fingerprint({"limits": [repr(own) for own in limits]}),
        "precision": str(compute.fast_dtype()),
    }


def through_purifier(attack: AttackSettings) -> bool:
    """Whether an attack asks the purifier, and its noise then matters to it: not where it faces the detector alone."""
    return attack.white_box or attack.method == "bpda"


def _batches(limits: Sequence[Limits], bundle: Bundle, name: str) -> Iterator[_Batch]:
    """Scans that are judged by the same limits, as many at once as suit the hardware."""
    ids = [repr(own) for own in limits]
    for one in dict.fromkeys(ids):
        places = np.flatnonzero([each == one for each in ids])
        defence = replace(bundle, limits={**bundle.limits, name: limits[places[0]]})
        for part in np.array_split(places, -(-len(places) // compute.batch_size())):
            yield _Batch(part, defence)


def _measured(
    data: Dataset, places: Sequence[int], defence: Bundle, name: str, attack: AttackSettings, seed: int
) -> list[ScanReading]:
    before = data.pixels[places].to(compute.device()).contiguous(memory_format=torch.channels_last)
    labels = data.labels[places].to(before.device)
    seeds = [seed + 1 + place for place in places]
    model = DefendedModel(defence, name, seed)

    def attacked(settings: AttackSettings, known_noise: bool) -> Tensor:
        after, target = before, attack_target(defence, name, settings, seed, known_noise)
        for step in attack_steps(target, before, labels, settings, seed + places[0]):
            after = step.attacked
        return after

    after = attacked(attack, False) if attack.method else before
    apart = bool(attack.method) and sees_defence(attack) and through_purifier(attack)
    readings = [reading for reading in READINGS if reading != "fixed"] if apart else list(READINGS)
    undefended, outcomes = read_scans(after, labels, model, seeds, readings)
    changes = [after - before]
    if apart:
        knowing = attacked(replace(attack, eot=1), True)
        _, known = read_scans(knowing, labels, model, seeds, ["fixed"])
        outcomes = [first | second for first, second in zip(outcomes, known)]
        changes.append(knowing - before)
    longest = _longest(changes, attack)
    return [ScanReading(*parts) for parts in zip(undefended.tolist(), longest, outcomes)]


def _longest(changes: Sequence[Tensor], attack: AttackSettings) -> list[float]:
    """(B,) the length of the longest change of each scan in units of ε; 0 where the attack has no radius."""
    if not attack.method or not ATTACKS[attack.method].norms:
        return [0.0] * len(changes[0])
    found = torch.stack([lengths(change, attack.norm) for change in changes]).amax(0)
    return [round(length, 4) for length in (found / radius(attack.eps, attack.norm)).tolist()]


def _report(scans: Sequence[ScanReading], groups: Sequence[str]) -> dict[str, Any]:
    undefended = [scan.undefended for scan in scans]
    words = {name: "".join(scan.outcomes[name] for scan in scans) for name in READINGS}
    return {
        "n": len(scans),
        "undefended": float(np.mean(undefended)),
        "undefended_interval": list(bootstrap_interval(undefended, groups)),
        "longest": max(scan.length for scan in scans),
        "readings": {name: reading_report(word, groups) for name, word in words.items()},
    }
