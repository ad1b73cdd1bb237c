"""weights/<bundle>/faults.json: what bit flips, attacks and corruptions were measured to do to a bundle's classifiers.

`training.measure.faults` writes it. Accuracies are shares in [0, 1] on the same few validation scans; an interval is
95 %, over trials where there are several and over near-duplicate groups of scans where nothing is drawn.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.bundles import Bundle, BundleError, classifier_sha256
from core.faults.ranges import Ranges
from core.faults.study import Study

FILE = "faults.json"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What several trials say together, as `core.faults.campaign_summary` puts it.

    Attributes
    ----------
    trials : int
        1 where nothing is drawn at random.
    accuracy, worst : float or None
        Mean and lowest over the trials that answered; a non-finite answer is wrong. None where all were refused.
    interval : (float, float) or None
        Of the mean.
    label_changes, non_finite, refused : float
        Mean shares of all scans.
    alarms : float
        Share of trials in which the guard noticed.
    repaired : float or None
        Of the trials in which it found damaged weights the share in which it repaired all; None without such trials.
    seconds : float
        Of all trials together.
    """

    trials: int
    accuracy: float | None
    interval: tuple[float, float] | None
    worst: float | None
    label_changes: float
    non_finite: float
    refused: float = 0.0
    alarms: float = 0.0
    repaired: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FlipRow(Outcome):
    """So many random flips at once, anywhere in the weights; 0 flips is the undamaged network."""

    flips: int


@dataclass(frozen=True, kw_only=True)
class LayerRow(Outcome):
    """`flips` random flips within one stage or one tensor (`level`), called `name`, of `elements` numbers."""

    name: str
    level: str
    elements: int
    flips: int


@dataclass(frozen=True, kw_only=True)
class BitRow(Outcome):
    """Random flips of one bit position; `form` float32 or bfloat16, `field` sign, exponent or mantissa."""

    form: str
    bit: int
    field: str


@dataclass(frozen=True, kw_only=True)
class ActivationRow(Outcome):
    """One random flip in what a stage puts out, `elements` numbers a scan."""

    stage: str
    elements: int


@dataclass(frozen=True, kw_only=True)
class GuardRow(Outcome):
    """`guard` off, detect or repair against so many flips.

    `damage`: random ``weights`` or ``activations``, the ``worst case``, or the ``silent worst case``.
    """

    damage: str
    flips: int
    guard: str


@dataclass(frozen=True, kw_only=True)
class ExpertRow(Outcome):
    """`flips` random flips in one expert of a mixture, asked alone; `training` says what it was trained on."""

    expert: str
    training: str
    flips: int


@dataclass(frozen=True, kw_only=True)
class MapRow(Outcome):
    """Random flips under PGD at `eps`/255 made against the undamaged network; 0 for none of either."""

    flips: int
    eps: float


@dataclass(frozen=True, kw_only=True)
class WorstRow:
    """One round of the worst-case search: `index` from 0, on top of the rounds before.

    `silent`: only flips that leave every answer finite. `element` of `tensor`, and its `bit`; loss in nats; `tried`
    candidates in `seconds`; `detected`: whether the guard notices the set so far, and whether it `repaired` it;
    `non_finite`: share of answers without numbers, None in records from before this was noted.
    """

    silent: bool
    index: int
    tensor: str
    element: int
    bit: int
    form: str
    field: str
    accuracy: float
    loss: float
    tried: int
    seconds: float
    detected: bool
    repaired: bool
    non_finite: float | None = None


@dataclass(frozen=True, kw_only=True)
class CleanRow:
    """`runs` whole passes of undamaged networks over `scans`, and alarms by weight codes and by activation ranges."""

    scans: str
    runs: int
    weight_alarms: int
    range_alarms: int


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """What the guard takes: see `core.faults.guard_cost.Cost`; `load`: the machine's load average per core then."""

    threads: int
    load: float
    bytes: int
    weight_bytes: int
    check_ms: float
    ranges_ms: float
    repair_ms: float
    patrol_scans: int
    budget_ms: float


@dataclass(frozen=True, kw_only=True)
class AttackRow:
    """Accuracy under `method` at `eps`/255 in `steps` steps; method ``none`` and eps 0 for the scans as they are."""

    method: str
    eps: float
    steps: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CorruptionRow:
    """Accuracy under a corruption of `core.attacks`, severity 1 to 5."""

    name: str
    severity: int
    accuracy: float
    interval: tuple[float, float]


Row = Outcome | WorstRow | CleanRow | CostRow | AttackRow | CorruptionRow

STUDIES: dict[str, type[Row]] = {
    "flips": FlipRow,
    "layers": LayerRow,
    "bits": BitRow,
    "activations": ActivationRow,
    "worst_case": WorstRow,
    "guard": GuardRow,
    "clean_runs": CleanRow,
    "cost": CostRow,
    "attacks": AttackRow,
    "corruptions": CorruptionRow,
    "map": MapRow,
    "experts": ExpertRow,
}


@dataclass(frozen=True)
class FaultRecord:
    """What is recorded for one classifier.

    Attributes
    ----------
    studies : mapping of str to Study
        Those made with the weights of today.
    stale : frozenset of str
        Studies that were made with other weights, hence not among them.
    ranges : Ranges or None
        Limits of its activations, learned on training scans; None where they aren't recorded for these weights.
    """

    bundle: str
    classifier: str
    studies: Mapping[str, Study]
    stale: frozenset[str]
    ranges: Ranges | None

    def rows(self, study: str) -> tuple[Any, ...]:
        """The rows of a study, of the type that `STUDIES` names; empty where `lack` has something to say."""
        return self.studies[study].rows if study in self.studies else ()

    def lack(self, study: str) -> str | None:
        """One sentence where a study can't be shown, None where it can."""
        if study in self.studies:
            return None
        why = "was measured with other weights than today's" if study in self.stale else "hasn't been measured yet"
        return (
            f"The study {study!r} of {self.classifier} in {self.bundle} {why}; run `python -m training.measure.faults "
            f"--data FILE --bundle {self.bundle} --classifier {self.classifier} --only {study}`."
        )


def read_faults(bundle: Bundle, classifier: str) -> FaultRecord:
    """What is recorded for a classifier; a record without studies where nothing is.

    Raises
    ------
    BundleError
        faults.json is damaged; one sentence.
    """
    path = bundle.folder / FILE
    try:
        entries = json.loads(path.read_text(encoding="utf-8")).get(classifier, {}) if path.is_file() else {}
        return _record(bundle, classifier, entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{bundle.name}/{FILE} can't be read; run training.measure.faults again.") from error


def _record(bundle: Bundle, classifier: str, entries: Mapping[str, Any]) -> FaultRecord:
    today = classifier_sha256(bundle, classifier)
    fresh = {name: entry for name, entry in entries.items() if entry["made_with"] == today}
    return FaultRecord(
        bundle=bundle.name,
        classifier=classifier,
        studies={name: _study(kind, fresh[name]) for name, kind in STUDIES.items() if name in fresh},
        stale=frozenset(entries.keys() - fresh.keys()),
        ranges=Ranges.from_json(fresh["ranges"]) if "ranges" in fresh else None,
    )


def _study(kind: type[Row], entry: Mapping[str, Any]) -> Study:
    rows = tuple(_row(kind, values) for values in entry["rows"])
    data = entry.get("data_sha256", "")
    return Study(rows, int(entry["n"]), int(entry["seed"]), entry["command"], entry["made_with"], data)


def _row(kind: type[Row], values: Mapping[str, Any]) -> Row:
    interval = values.get("interval")
    return kind(**{**values, **({"interval": tuple(interval)} if interval else {})})
