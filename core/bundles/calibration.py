"""What a bundle knows of its calibration scans, and the limits that decisions need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

#: The benign changes that come with a scanner, whose scans are grey, and with a microscope's camera.
OF_SCANNERS = (
    "gaussian-noise",
    "gaussian-blur",
    "defocus-blur",
    "gamma",
    "rotation",
    "patchdrop",
    "motion",
    "ghosting",
    "bias-field",
    "spikes",
)
OF_CAMERAS = ("gaussian-noise", "shot-noise", "defocus-blur", "brightness", "stain", "jpeg")
#: The severities of them that limits spare.
SPARED = (1, 2)
#: ε of PGD in 1/255 → the t* that washes it out.
LADDER = ((2, 40), (4, 60), (8, 100))


@dataclass(frozen=True)
class Responses:
    """What the networks answer to N scans, before any threshold: every decision can be taken from it afterwards.

    Attributes
    ----------
    undefended : list of int
        Class of the classifier on the scan as it is.
    certainty : list of float
        Its probability of that class, in [0, 1].
    scores : mapping of str to list of float
        Detection score → N values.
    scope : list of float
        Distance to the training scans.
    estimates : mapping of int to list of int
        t* → class of the classifier on the estimate that purification at this t* makes.
    robust : mapping of int to list of int
        The same of the classifier that answers on estimates (`Bundle.answering`); empty where that is no other.
    ssim : mapping of int to list of float
        t* → structural similarity of this estimate to the scan before any change.
    seconds : mapping of str to float
        Mean time a scan: ``detect``, ``purify`` (at one t*).
    """

    undefended: list[int]
    certainty: list[float]
    scores: Mapping[str, list[float]]
    scope: list[float]
    estimates: Mapping[int, list[int]]
    ssim: Mapping[int, list[float]]
    seconds: Mapping[str, float]
    robust: Mapping[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.undefended)

    def part(self, places: Sequence[int]) -> "Responses":
        """The responses to some of the scans, in that order."""

        def chosen(values: list) -> list:
            return [values[place] for place in places]

        return Responses(
            undefended=chosen(self.undefended),
            certainty=chosen(self.certainty),
            scores={name: chosen(values) for name, values in self.scores.items()},
            scope=chosen(self.scope),
            estimates={t: chosen(values) for t, values in self.estimates.items()},
            ssim={t: chosen(values) for t, values in self.ssim.items()},
            seconds=self.seconds,
            robust={t: chosen(values) for t, values in self.robust.items()},
        )

    @classmethod
    def joined(cls, parts: Sequence["Responses"]) -> "Responses":
        """The responses of several batches as one."""
        whole = sum(map(len, parts))

        def chained(lists: Iterable[list]) -> list:
            return [value for values in lists for value in values]

        def merged(name: str) -> dict:
            keys = getattr(parts[0], name)
            return {key: chained(getattr(part, name)[key] for part in parts) for key in keys}

        return cls(
            undefended=chained(part.undefended for part in parts),
            certainty=chained(part.certainty for part in parts),
            scores=merged("scores"),
            scope=chained(part.scope for part in parts),
            estimates=merged("estimates"),
            ssim=merged("ssim"),
            seconds={
                stage: sum(part.seconds[stage] * len(part) for part in parts) / whole for stage in parts[0].seconds
            },
            robust=merged("robust"),
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Responses":
        """From what `dataclasses.asdict` and JSON made of it: JSON knows no whole numbers as keys."""
        known = [name for name in ("estimates", "ssim", "robust") if name in record]
        by_t = {name: {int(t): values for t, values in record[name].items()} for name in known}
        return cls(**{**record, **by_t})


@dataclass(frozen=True)
class Calibration:
    """The recorded answers of one classifier on the calibration scans, which thresholds, tables and pages are made of.

    Attributes
    ----------
    groups : list of str
        Near-duplicate group of each calibration scan.
    digests : list of str
        `core.evaluation.datasets.image_digest` of each, by which an evaluation knows the scans that the thresholds saw.
    labels : list of int
        True class of each.
    conditions : mapping of str to Responses
        ``clean``, an attack (such as ``pgd 8/255``) or a benign change (such as ``gamma 2``, the number being its
        severity) → the answers to the same scans.
    sites, sequences : list of str
        Where each was taken, and under which MR sequence; empty where the data didn't say.
    changes : sequence of str
        Names of the benign changes that limits spare, see `benign_changes`.
    purifies : bool
        As of the `Limits` that are fitted to it.
    """

    groups: list[str]
    digests: list[str]
    labels: list[int]
    conditions: Mapping[str, Responses]
    sites: list[str] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    changes: Sequence[str] = OF_SCANNERS
    purifies: bool = True

    @classmethod
    def from_json(cls, record: Mapping[str, Any], channels: int) -> "Calibration":
        """From what calibration.json holds of a classifier for images of so many channels."""
        conditions = {name: Responses.from_json(answers) for name, answers in record["conditions"].items()}
        return cls(**{**record, "conditions": conditions, "changes": benign_changes(channels)})

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Site → which of the scans were taken there; empty where one site, or none, is told."""
        names = sorted(set(self.sites))
        if len(names) < 2:
            return {}
        return {name: [place for place, site in enumerate(self.sites) if site == name] for name in names}

    def part(self, places: Sequence[int]) -> "Calibration":
        """The record of some of the scans, in that order, under the conditions that all scans were answered under."""

        def chosen(values: list) -> list:
            return [values[place] for place in places] if values else []

        whole = {name: answers for name, answers in self.conditions.items() if len(answers) == len(self.labels)}
        return Calibration(
            groups=chosen(self.groups),
            digests=chosen(self.digests),
            labels=chosen(self.labels),
            conditions={name: answers.part(places) for name, answers in whole.items()},
            sites=chosen(self.sites),
            sequences=chosen(self.sequences),
            changes=self.changes,
            purifies=self.purifies,
        )

    @property
    def clean(self) -> Mapping[str, list[float]]:
        """Score → its values on the clean scans."""
        return self.conditions["clean"].scores

    @cached_property
    def attacked(self) -> dict[str, Mapping[str, list[float]]]:
        """The attacks that the t* ladder was made from → score → values."""
        return {f"pgd {eps}/255": self.conditions[f"pgd {eps}/255"].scores for eps, _ in LADDER}

    @cached_property
    def benign(self) -> dict[str, Responses]:
        """The benign changes that the limits spare → the answers."""
        names = [f"{name} {severity}" for name, severity in spared_changes(self.changes)]
        return {name: self.conditions[name] for name in names}


def benign_changes(channels: int) -> tuple[str, ...]:
    """Names of the benign changes that images of so many channels undergo, as `core.attacks` knows them."""
    return OF_SCANNERS if channels == 1 else OF_CAMERAS


def spared_changes(names: Iterable[str]) -> list[tuple[str, int]]:
    """(name, severity) of each benign change that limits spare."""
    return [(name, severity) for name in names for severity in SPARED]


class Borderline(NamedTuple):
    """An answer of at most this certainty, a probability, and at most this instability, in nats.

    A little moves it across the border between two classes, so that purification may turn it, attacked or not. An
    attack that aims for a confident answer leaves one that is surer, or that a denoise moves farther.
    """

    certainty: float
    instability: float


NOTHING = Borderline(0.0, 0.0)


@dataclass(frozen=True)
class Limits:
    """What turns scores into decisions, for one classifier.

    Attributes
    ----------
    thresholds : mapping of str to float
        A scan with any score above its threshold is flagged, or altered where the score is one of `altered`.
    scope_limit : float
        A scan farther than this from the training scans is refused.
    ladder : tuple of (float, int)
        (largest attention variation, t*), ascending.
    borderline : Borderline
        A purified scan whose answer is no surer and no less stable than this keeps it; none by default.
    altered : tuple of str
        The scores that ask whether anything was added to the pixels, be it noise or an attack: what they find is
        purified without alarm. Empty where the bundle was calibrated for one question alone.
    purifies : bool
        Whether flagged and altered scans are purified; a hardened classifier answers all scans as they are.
    """

    thresholds: Mapping[str, float]
    scope_limit: float
    ladder: tuple[tuple[float, int], ...]
    borderline: Borderline = NOTHING
    altered: tuple[str, ...] = ()
    purifies: bool = True

    def t_star(self, variation: float) -> int:
        """t* for a scan that is to be purified, from its attention variation.

        Nie et al. 2022 (section 3.2) ask for a t* that is large enough to wash the perturbation out and no larger,
        which needs the perturbation's size. Attention variation grows with it (MAE-Pure, figure 4), so the ladder,
        measured on calibration scans, maps the one to the other. MedFedPure leaves the rule open.
        """
        return next((t_star for largest, t_star in self.ladder if variation <= largest), self.ladder[-1][1])
