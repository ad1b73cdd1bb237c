"""From the answers to calibration scans to the limits that decisions need; and the folds that keep them honest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from core.bundles.calibration import LADDER, Borderline, Calibration, Limits, Responses
from core.defence.decision import decide_recorded

Scores = Mapping[str, np.ndarray]

FOLDS = 5
FEWEST_SCANS = 50
FEWEST_AT_SITE = 20  # of fewer scans no share of 5 % can be told
FALSE_ALARM_BUDGET = 0.05
# The budget is joint. Where it is spent follows from what each score can do: instability separates best and hardly
# minds benign changes, attention variation does mind them, and the reconstruction error is blind to attacks.
SHARES = {"mae_error": 0.02, "amv": 0.08, "instability": 0.9}
# Where the record has `agreement`, which is a reconstruction score that sees, the detector is asked two questions, each
# with a budget of its own. Was anything added to the pixels? Benign changes may count, as what is added is purified
# without alarm. Does the answer hang on it? That is the alarm, and it spares them.
ALTERED_SHARES = {"amv": 0.5, "agreement": 0.5}
MISLEADING_SHARES = {"instability": 1.0}
# A fifth of the budget is kept back, as scans that the thresholds have not seen pass them a little more often.
CALIBRATED_FALSE_ALARMS = 0.8 * FALSE_ALARM_BUDGET
BENIGN_FALSE_ALARMS = 0.1
# Farther than this many times what is usual at any site is out of scope. The farthest scans of all say little of what
# is usual: two of 300 lay 1.4 times as far as the third.
SCOPE_MARGIN, SCOPE_USUAL = 1.15, 0.98
# PGD at 8/255 leaves the classifier surer than this, however stable it looks; who stops at the border doesn't.
UNSURE = 0.9
STEADY = (0.005, 0.01, *(0.02 * step for step in range(1, 11)))
LABELS_KEPT = 0.97


class TooFewScans(ValueError):
    """There are not enough calibration scans to fit thresholds; one sentence."""


def folds(groups: Sequence[str], sites: Sequence[str] = (), seed: int = 0) -> np.ndarray:
    """(N,) fold of each scan in [0, FOLDS); a group never spans two folds, and each site's are dealt out evenly."""
    home_of = dict(zip(groups, sites or [""] * len(groups)))
    fold_of: dict[str, int] = {}
    random = np.random.default_rng(seed)
    for home in sorted(set(home_of.values())):
        names = sorted(group for group, site in home_of.items() if site == home)
        for index in random.permutation(len(names)):
            fold_of[names[index]] = len(fold_of) % FOLDS
    return np.array([fold_of[group] for group in groups])


def calibration_folds(calibration: Calibration) -> np.ndarray:
    """(N,) the fold of each calibration scan."""
    return folds(calibration.groups, calibration.sites)


def fitted_limits(calibration: Calibration, kept: np.ndarray | slice = slice(None)) -> Limits:
    """Everything that decisions need, from the calibration scans in `kept` (a mask or slice over all of them)."""

    def arrays(scores: Mapping[str, list[float]]) -> Scores:
        return {name: np.array(values)[kept] for name, values in scores.items()}

    benign = calibration.benign.values()
    clean = arrays(calibration.clean)
    sites = at_sites(clean, np.array(calibration.sites)[kept] if calibration.places else np.array([]))
    spared = [arrays(answers.scores) for answers in benign]
    altered = tuple(ALTERED_SHARES) if asks_altered(calibration.clean) else ()
    if altered:
        thresholds = fit_thresholds(clean, (), sites, ALTERED_SHARES)
        thresholds |= fit_thresholds(clean, spared, sites, MISLEADING_SHARES)
    else:
        thresholds = fit_thresholds(clean, spared, sites)
    amv = {eps: arrays(calibration.attacked[f"pgd {eps}/255"])["amv"] for eps, _ in LADDER}
    scope, ladder = fit_scope(calibration, kept), fit_ladder(amv)
    limits = Limits(thresholds, scope, ladder, altered=altered, purifies=calibration.purifies)
    return replace(limits, borderline=fit_borderline(benign, limits, kept))


def fit_scope(calibration: Calibration, kept: np.ndarray | slice) -> float:
    """The distance to the training scans above which a scan is refused; each site counts for itself."""
    distances = {"distance": np.array(calibration.conditions["clean"].scope)[kept]}
    sites = at_sites(distances, np.array(calibration.sites)[kept] if calibration.places else np.array([]))
    return SCOPE_MARGIN * max(float(np.quantile(own["distance"], SCOPE_USUAL)) for own in (distances, *sites))


def asks_altered(clean: Mapping[str, object]) -> bool:
    """Whether scores tell what was altered apart from what is misleading; clean: by score."""
    return ALTERED_SHARES.keys() <= clean.keys()


def cross_fitted_limits(calibration: Calibration) -> list[Limits]:
    """For each calibration scan the limits that are fitted without its fold."""
    fold_of = calibration_folds(calibration)
    fitted = [fitted_limits(calibration, fold_of != fold) for fold in range(FOLDS)]
    return [fitted[fold] for fold in fold_of]


def at_sites(clean: Scores, homes: np.ndarray) -> list[Scores]:
    """The scores of each site that has `FEWEST_AT_SITE` scans or more; homes: (N,) where each scan was taken."""
    names, counts = np.unique(homes, return_counts=True)
    return [
        {score: values[homes == name] for score, values in clean.items()}
        for name, count in zip(names, counts)
        if count >= FEWEST_AT_SITE
    ]


def fit_thresholds(
    clean: Scores,
    benign: Sequence[Scores] = (),
    sites: Sequence[Scores] = (),
    shares: Mapping[str, float] = SHARES,
) -> dict[str, float]:
    """Thresholds that together flag at most `CALIBRATED_FALSE_ALARMS` of the clean scans, of all and of each site, and
    `BENIGN_FALSE_ALARMS` of each benign set."""
    if len(next(iter(clean.values()))) < FEWEST_SCANS:
        raise TooFewScans(f"There are too few calibration scans to fit thresholds; bring at least {FEWEST_SCANS}.")
    populations = [(scores, CALIBRATED_FALSE_ALARMS) for scores in (clean, *sites)]
    populations += [(scores, BENIGN_FALSE_ALARMS) for scores in benign]
    # The last of them spends nothing: of a site of few scans one above each threshold may be too many.
    spends = np.append(np.arange(2 * BENIGN_FALSE_ALARMS, 0, -0.0005), 0.0)
    candidates = {
        name: np.max([np.quantile(scores[name], 1 - spends * share) for scores, _ in populations], axis=0).tolist()
        for name, share in shares.items()
    }
    offered = ({name: values[place] for name, values in candidates.items()} for place in range(len(spends)))
    return next(
        thresholds
        for thresholds in offered
        if all(joint_false_alarms(scores, thresholds) <= allowed for scores, allowed in populations)
    )


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
    """The least instability of `STEADY` with which `LABELS_KEPT` of the purified benign scans keep their labels.

    The least, as whoever knows the defence gains by every answer that stands; the largest where none is enough.
    """
    found = []
    for answers in benign:
        decisions = decide_recorded(answers, limits)
        turned, unsure = decisions.answers != answers.undefended, np.array(answers.certainty) <= UNSURE
        needed = np.where(turned, np.where(unsure, answers.scores["instability"], np.inf), 0.0)
        found.append(needed[kept][(decisions.purified & ~decisions.refused)[kept]])
    needed = np.concatenate(found)
    enough = (steady for steady in STEADY if (needed <= steady).sum() >= LABELS_KEPT * len(needed))
    return Borderline(UNSURE, next(enough, STEADY[-1]))
