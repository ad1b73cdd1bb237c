"""From answers to calibration scans to the limits that decisions need; and the folds that keep them honest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

Scores = Mapping[str, np.ndarray]

FOLDS = 5
FEWEST_SCANS = 50
FALSE_ALARM_BUDGET = 0.05


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

    def __len__(self) -> int:
        return len(self.undefended)

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
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Responses":
        """From what `dataclasses.asdict` and JSON made of it: JSON knows no whole numbers as keys."""
        by_t = {name: {int(t): values for t, values in record[name].items()} for name in ("estimates", "ssim")}
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
    """

    groups: list[str]
    digests: list[str]
    labels: list[int]
    conditions: Mapping[str, Responses]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Calibration":
        """From what `dataclasses.asdict` and JSON made of it."""
        conditions = {name: Responses.from_json(answers) for name, answers in record["conditions"].items()}
        return cls(**{**record, "conditions": conditions})

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
        return {f"{name} {severity}": self.conditions[f"{name} {severity}"] for name, severity in BENIGN}


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
        A scan with any score above its threshold is flagged.
    scope_limit : float
        A scan farther than this from the training scans is refused.
    ladder : tuple of (float, int)
        (largest attention variation, t*), ascending.
    borderline : Borderline
        A flagged scan whose answer is no surer and no less stable than this keeps it; none by default.
    """

    thresholds: Mapping[str, float]
    scope_limit: float
    ladder: tuple[tuple[float, int], ...]
    borderline: Borderline = NOTHING

    def lets_stand(self, certainty: float, instability: float) -> bool:
        """Whether a flagged scan keeps its own answer; not where one of the two is NaN."""
        return certainty <= self.borderline.certainty and instability <= self.borderline.instability


def folds(groups: Sequence[str], seed: int = 0) -> np.ndarray:
    """(N,) fold of each scan in [0, FOLDS); a group never spans two folds."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {names[index]: position % FOLDS for position, index in enumerate(order)}
    return np.array([fold_of[group] for group in groups])


# The budget is joint. Where it is spent follows from what each score can do: instability separates best and hardly
# minds benign changes, attention variation does mind them, and the reconstruction error is blind to attacks.
SHARES = {"mae_error": 0.02, "amv": 0.08, "instability": 0.9}
# A fifth of the budget is kept back, as scans that the thresholds have not seen pass them a little more often.
CALIBRATED_FALSE_ALARMS = 0.8 * FALSE_ALARM_BUDGET
BENIGN_FALSE_ALARMS = 0.1
SCOPE_MARGIN = 1.15
BENIGN = tuple(
    (name, severity)
    for name in (
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
    for severity in (1, 2)
)
LADDER = ((2, 40), (4, 60), (8, 100))
# PGD at 8/255 leaves the classifier surer than this, however stable it looks; who stops at the border doesn't.
UNSURE = 0.9
STEADY = (0.005, 0.01, 0.02, 0.04, 0.06)  # few and far between, so that a fold more or less hardly matters
LABELS_KEPT = 0.97


def fitted_limits(calibration: Calibration, kept: np.ndarray | slice = slice(None)) -> Limits:
    """Everything that decisions need, from the calibration scans in `kept` (a mask or slice over all of them)."""

    def arrays(scores: Mapping[str, list[float]]) -> Scores:
        return {name: np.array(values)[kept] for name, values in scores.items()}

    benign = calibration.benign.values()
    thresholds = fit_thresholds(arrays(calibration.clean), [arrays(answers.scores) for answers in benign])
    amv = {eps: arrays(calibration.attacked[f"pgd {eps}/255"])["amv"] for eps, _ in LADDER}
    farthest = float(np.array(calibration.conditions["clean"].scope)[kept].max())
    limits = Limits(thresholds, SCOPE_MARGIN * farthest, fit_ladder(amv))
    return replace(limits, borderline=fit_borderline(benign, limits, kept))


def cross_fitted_limits(calibration: Calibration) -> list[Limits]:
    """For each calibration scan the limits that are fitted without its fold."""
    fold_of = folds(calibration.groups)
    fitted = [fitted_limits(calibration, fold_of != fold) for fold in range(FOLDS)]
    return [fitted[fold] for fold in fold_of]


def fit_thresholds(clean: Scores, benign: Sequence[Scores] = ()) -> dict[str, float]:
    """Thresholds that together flag at most `CALIBRATED_FALSE_ALARMS` of the clean scans, and `BENIGN_FALSE_ALARMS` of
    each benign set."""
    if len(clean["amv"]) < FEWEST_SCANS:
        raise ValueError(f"There are too few calibration scans to fit thresholds; bring at least {FEWEST_SCANS}.")
    populations = ((clean, CALIBRATED_FALSE_ALARMS), *((scores, BENIGN_FALSE_ALARMS) for scores in benign))
    for spend in np.arange(2 * BENIGN_FALSE_ALARMS, 0, -0.0005):
        thresholds = {
            name: max(float(np.quantile(scores[name], 1 - spend * share)) for scores, _ in populations)
            for name, share in SHARES.items()
        }
        if all(joint_false_alarms(scores, thresholds) <= allowed for scores, allowed in populations):
            return thresholds
    raise ValueError("No thresholds keep the false alarms within their budget: too many scans share their scores.")


def joint_false_alarms(clean: Scores, thresholds: Mapping[str, float]) -> float:
    """Share of scans with any score above its threshold."""
    return float(np.any([clean[name] > limit for name, limit in thresholds.items()], axis=0).mean())


def fit_ladder(attacked_amv: Mapping[int, np.ndarray]) -> tuple[tuple[float, int], ...]:
    """Attention variation → t*: each ε of `LADDER` has its t*, and the border lies halfway between two medians.

    Halfway on a logarithmic scale, as the variation grows roughly in proportion to ε.
    """
    medians = [float(np.median(attacked_amv[eps])) for eps, _ in LADDER]
    borders = [float(np.sqrt(low * high)) for low, high in zip(medians, medians[1:])]
    return tuple(zip((*borders, float("inf")), (t for _, t in LADDER)))


def fit_borderline(benign: Iterable[Responses], limits: Limits, kept: np.ndarray | slice = slice(None)) -> Borderline:
    """The least instability of `STEADY` with which `LABELS_KEPT` of the flagged benign scans keep their labels.

    The least, as whoever knows the defence gains by every answer that stands; the largest where none is enough.
    """
    found = []
    for answers in benign:
        decisions = decide(answers, [limits] * len(answers))
        turned, unsure = decisions.answers != answers.undefended, np.array(answers.certainty) <= UNSURE
        needed = np.where(turned, np.where(unsure, answers.scores["instability"], np.inf), 0.0)
        found.append(needed[kept][(decisions.flagged & ~decisions.refused)[kept]])
    needed = np.concatenate(found)
    enough = (steady for steady in STEADY if (needed <= steady).sum() >= LABELS_KEPT * len(needed))
    return Borderline(UNSURE, next(enough, STEADY[-1]))


@dataclass(frozen=True)
class Decisions:
    """What limits make of N responses.

    flagged, refused (N,) bool; t_star (N,) int, 0 where not flagged; answers (N,) class of the defended classifier, −1
    where refused; ssim (N,) of the estimates, NaN where not flagged.
    """

    flagged: np.ndarray
    refused: np.ndarray
    t_star: np.ndarray
    answers: np.ndarray
    ssim: np.ndarray


def choose_t(variation: float, limits: Limits) -> int:
    """t* for a flagged scan from its attention variation.

    Nie et al. 2022 (section 3.2) ask for a t* that is large enough to wash the perturbation out and no larger, which
    needs the perturbation's size. Attention variation grows with it (MAE-Pure, figure 4), so the bundle's ladder,
    measured on calibration scans, maps the one to the other. MedFedPure leaves the rule open.
    """
    return next(t_star for largest, t_star in limits.ladder if variation <= largest)


def decide(responses: Responses, limits: Sequence[Limits]) -> Decisions:
    """Detect, purify what is flagged, classify, decide: with recorded answers, and limits (N,) of each scan's own.

    Limits without thresholds flag nothing, and then the answers need no scores.
    """
    flagged = np.array(
        [
            any(responses.scores[name][i] > limit for name, limit in own.thresholds.items())
            for i, own in enumerate(limits)
        ]
    )
    stands = [
        flagged[i] and own.lets_stand(responses.certainty[i], responses.scores["instability"][i])
        for i, own in enumerate(limits)
    ]
    refused = np.array([scope > own.scope_limit for scope, own in zip(responses.scope, limits)])
    t_star = np.array(
        [choose_t(responses.scores["amv"][i], own) if flagged[i] else 0 for i, own in enumerate(limits)], dtype=int
    )
    answers = [
        responses.estimates[t][i] if t and not stands[i] else responses.undefended[i]
        for i, t in enumerate(t_star.tolist())
    ]
    ssim = [responses.ssim[t][i] if t else np.nan for i, t in enumerate(t_star.tolist())]
    return Decisions(flagged, refused, t_star, np.where(refused, -1, answers), np.array(ssim))
