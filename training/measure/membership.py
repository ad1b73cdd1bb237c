"""Whether thresholds, or which scans a site purifies, tell that a scan was among those a site calibrated on.

    python -m training.measure.membership

Draws a site's scans from the recorded answers to the bundle's clean calibration scans, fits thresholds as `python -m
core calibrate` does, or draws them privately, and asks an attacker who knows a scan's scores. Three attacks:

- any scan: one of the site's against one that isn't; it is told where a threshold is its very score, and beyond that it
  is guessed the likelier the nearer a threshold lies;
- the worst scan: the one that set the threshold of instability, against another in its place, by an attacker who knows
  all the other scans too and weighs both cases by their likelihood;
- purified: any scan again, by whether the site purifies it.

What it costs is counted on the scans that weren't drawn. Writes assets/federation/membership.json, which
docs/federation.md shows once `python -m training.publish.docs` has run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.bundles import WEIGHTS, Bundle, load_bundle
from core.defence.conformal import Scale, ScoreGroup, cut_thresholds, scales
from core.defence.private_quantile import log_density, private_thresholds
from core.defence.profile import groups_of, weights_digest
from core.statistics import auc, auc_interval, bootstrap_interval
from training.files import read_json, write_json
from training.options import command_options
from training.publish.markdown import area, command, decimals, section, share
from training.recipes.cards import command_line
from training.tasks import BRAIN_MRI

RECORD = WEIGHTS.parent / "assets" / "federation" / "membership.json"
SCANS = (40, 200)
EPSILONS = (None, 3.0, 1.0)
ATTACK = "pgd 4/255"
MAIN = "instability"

Scores = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Detector:
    """What thresholds are made for: the detector's questions, and how far a score usually is out."""

    groups: Mapping[str, ScoreGroup]
    scale: Mapping[str, Scale]

    @property
    def questions(self) -> dict[str, ScoreGroup]:
        """Score → the question that it belongs to."""
        return {name: group for group in self.groups.values() for name in group.shares}

    def part(self, epsilon: float) -> float:
        """What of ε each threshold has."""
        return epsilon / len(self.questions)

    def fitted(self, scores: Scores, epsilon: float | None, random: np.random.Generator) -> dict[str, float]:
        """Thresholds of (n,) scores; private ones for an ε."""
        found: dict[str, float] = {}
        for group in self.groups.values():
            if epsilon is None:
                found |= cut_thresholds(scores, group, self.scale)
            else:
                own = self.part(epsilon) * len(group.shares)
                found |= private_thresholds(scores, group, self.scale, own, random)
        return found

    def likelihood(self, limits: Mapping[str, float], scores: Scores, epsilon: float) -> float:
        """The logarithm of how likely private thresholds of these scores are."""
        total = 0.0
        for name, group in self.questions.items():
            values, at = self.scale[name].excess(scores[name]), float(self.scale[name].excess(np.array(limits[name])))
            total += log_density(at, values, group.alpha * group.shares[name], self.part(epsilon))
        return total

    def nearness(self, scan: Mapping[str, float], limits: Mapping[str, float]) -> float:
        """How near the nearest threshold lies to a scan's own score; 0 where it is that score."""
        own = (abs(scan[name] - limit) / (scale.shipped - scale.usual) for name, limit, scale in self._each(limits))
        return -min(own)

    def _each(self, limits: Mapping[str, float]) -> list[tuple[str, float, Scale]]:
        return [(name, limits[name], self.scale[name]) for name in limits]


def main() -> None:
    parser = command_options(__doc__)
    parser.add_argument("--draws", type=int, default=500, help="sites that are drawn for each line (default 500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RECORD, metavar="FILE")
    options = parser.parse_args()
    bundle = load_bundle(BRAIN_MRI["name"])
    name = bundle.classifier_name(None)
    calibration, limits = bundle.calibrations[name], bundle.limits[name]
    detector = Detector(groups_of(limits), scales(calibration, limits.thresholds))
    clean, attacked = (
        {score: np.array(own[score]) for score in limits.thresholds}
        for own in (calibration.clean, calibration.attacked[ATTACK])
    )
    random = np.random.default_rng(options.seed)
    rows = [
        row(detector, clean, attacked, count, epsilon, options.draws, random) for count in SCANS for epsilon in EPSILONS
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        options.out,
        {
            "command": command_line(),
            "bundle": bundle.name,
            "classifier": name,
            "weights_sha256": weights_digest(bundle, name),
            "scans": len(calibration.labels),
            "draws": options.draws,
            "seed": options.seed,
            "attack": ATTACK,
            "rows": rows,
        },
    )


def membership_lines(bundle: Bundle) -> list[str]:
    """Return the table for docs/federation.md; a sentence in its place where today's weights weren't measured."""
    record = read_json(RECORD)
    if record.get("weights_sha256") != weights_digest(bundle, bundle.classifier_name(None)):
        return ["Not measured with the weights of today; `python -m training.measure.membership` does it.", ""]
    about = (
        f"Sites of so many scans, drawn {record['draws']} times from the {record['scans']} calibration scans of "
        f"{record['bundle']}; AUC, 0.5 being a coin, with 95 % intervals by bootstrap over draws. "
        f"Made by {command(record['command'])}, seed {record['seed']}."
    )
    head = (
        "scans",
        "thresholds",
        "any scan",
        "told for certain",
        "the worst scan",
        "no attack can pass",
        "by what is purified",
        "purified, unattacked",
        f"purified, {record['attack']}",
    )
    return section(about, head, [_cells(own) for own in record["rows"]])


def _cells(own: Mapping[str, Any]) -> list[str]:
    epsilon = own["epsilon"]
    return [
        f"{own['scans']}",
        "as fitted" if epsilon is None else f"ε = {epsilon:g}",
        area(own["any"]["auc"], own["any"]["interval"]),
        share(own["told"]["value"], own["told"]["interval"]),
        area(own["worst"]["auc"], own["worst"]["interval"]),
        decimals(None if epsilon is None else 1 / (1 + math.exp(-epsilon)), 2),
        area(own["unpurified"]["auc"], own["unpurified"]["interval"]),
        share(own["false_alarms"]["value"], own["false_alarms"]["interval"]),
        share(own["purified_attacked"]["value"], own["purified_attacked"]["interval"]),
    ]


def row(
    detector: Detector,
    clean: Scores,
    attacked: Scores,
    count: int,
    epsilon: float | None,
    draws: int,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Return what the attacks come to, and what the thresholds cost, for sites of `count` scans.

    Parameters
    ----------
    clean, attacked
        Score → (N,), of the same scans.
    epsilon
        None for thresholds as `calibrate` fits them.
    """
    each = [one_draw(detector, clean, attacked, count, epsilon, random) for _ in range(draws)]
    found = {name: np.array([one[name] for one in each]) for name in each[0]}
    groups = np.arange(draws).astype(str)
    record: dict[str, Any] = {"scans": count, "epsilon": epsilon}
    for name in ("any", "worst", "unpurified"):
        out, own = found[f"{name}_out"], found[f"{name}_in"]
        record[name] = {"auc": auc(out, own), "interval": list(auc_interval(out, own, groups))}
    for name in ("told", "told_wrongly", "false_alarms", "purified_attacked"):
        interval = bootstrap_interval(found[name], groups)
        record[name] = {"value": float(found[name].mean()), "interval": list(interval)}
    return record


def one_draw(
    detector: Detector,
    clean: Scores,
    attacked: Scores,
    count: int,
    epsilon: float | None,
    random: np.random.Generator,
) -> dict[str, float]:
    """Return what an attacker sees of one site: statistics of a scan that is in, and of one that is out."""
    order = random.permutation(len(next(iter(clean.values()))))
    members, others = order[:count], order[count:]
    limits = detector.fitted(part(clean, members), epsilon, random)
    inside, outside = scan(clean, random.choice(members)), scan(clean, random.choice(others))
    near = {"in": detector.nearness(inside, limits), "out": detector.nearness(outside, limits)}
    worst_in, worst_out = worst_scan(detector, clean, members, random.choice(others), epsilon, random)
    return {
        "any_in": near["in"],
        "any_out": near["out"],
        "told": float(near["in"] == 0),
        "told_wrongly": float(near["out"] == 0),
        "worst_in": worst_in,
        "worst_out": worst_out,
        "unpurified_in": float(not purified(inside, limits)),
        "unpurified_out": float(not purified(outside, limits)),
        "false_alarms": float(purified(part(clean, others), limits).mean()),
        "purified_attacked": float(purified(part(attacked, others), limits).mean()),
    }


def worst_scan(
    detector: Detector,
    clean: Scores,
    members: np.ndarray,
    other: int,
    epsilon: float | None,
    random: np.random.Generator,
) -> tuple[float, float]:
    """Return the statistic of the scan that sets the threshold of `MAIN`, where it is in and where it is not."""
    exact = detector.fitted(part(clean, members), None, random)
    target = members[int(np.argmin(np.abs(clean[MAIN][members] - exact[MAIN])))]
    with_it, without = part(clean, members), part(clean, np.where(members == target, other, members))
    found = []
    for scores in (with_it, without):
        limits = detector.fitted(scores, epsilon, random)
        if epsilon is None:
            found.append(detector.nearness(scan(clean, target), limits))
        else:
            likelier = detector.likelihood(limits, with_it, epsilon) - detector.likelihood(limits, without, epsilon)
            found.append(likelier)
    return found[0], found[1]


def purified(scores: Mapping[str, Any], limits: Mapping[str, float]) -> Any:
    """Return whether scans are above any threshold: then they are flagged or altered, and purified either way."""
    return np.any([scores[name] > limit for name, limit in limits.items()], axis=0)


def part(scores: Scores, places: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of some scans."""
    return {name: values[places] for name, values in scores.items()}


def scan(scores: Scores, place: int) -> dict[str, float]:
    """Return the scores of one scan."""
    return {name: float(values[place]) for name, values in scores.items()}


if __name__ == "__main__":
    main()
