"""From scores of calibration scans to thresholds, scope limit and t* ladder; and the folds that keep them honest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Scores = Mapping[str, np.ndarray]

FOLDS = 5
FEWEST_SCANS = 50
FALSE_ALARM_BUDGET = 0.05


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
    """

    thresholds: Mapping[str, float]
    scope_limit: float
    ladder: tuple[tuple[float, int], ...]


def folds(groups: Sequence[str], seed: int = 0) -> np.ndarray:
    """(N,) fold of each scan in [0, FOLDS); a group never spans two folds."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {names[index]: position % FOLDS for position, index in enumerate(order)}
    return np.array([fold_of[group] for group in groups])


# The budget is joint. Where it is spent follows from what each score can do: instability separates best and hardly
# minds noise, attention variation does mind it, and the reconstruction error is blind to attacks.
SHARES = {"mae_error": 0.02, "amv": 0.28, "instability": 0.7}
# A fifth of the budget is kept back, as scans that the thresholds have not seen pass them a little more often.
CALIBRATED_FALSE_ALARMS = 0.8 * FALSE_ALARM_BUDGET
BENIGN_FALSE_ALARMS = FALSE_ALARM_BUDGET
SCOPE_MARGIN = 1.15
BENIGN = (("gaussian-noise", 1), ("gaussian-blur", 2), ("gamma", 2), ("rotation", 2))
LADDER = ((2, 40), (4, 60), (8, 100))


def fit_limits(
    clean: Scores, benign: Sequence[Scores], scope: np.ndarray, attacked_amv: Mapping[int, np.ndarray]
) -> Limits:
    """Fit everything that decisions need.

    Parameters
    ----------
    clean : mapping of str to ndarray
        Score → (N,) values on clean calibration scans.
    benign : sequence of such mappings
        The same scans under benign changes, which should not be called attacks either.
    scope : ndarray
        (N,) distances of the clean scans to the training scans.
    attacked_amv : mapping of int to ndarray
        ε in 1/255 → (N,) attention variation of the same scans under PGD.
    """
    return Limits(fit_thresholds(clean, benign), SCOPE_MARGIN * float(scope.max()), fit_ladder(attacked_amv))


def fit_thresholds(clean: Scores, benign: Sequence[Scores] = ()) -> dict[str, float]:
    """Thresholds that together flag at most `CALIBRATED_FALSE_ALARMS` of the clean scans, and `BENIGN_FALSE_ALARMS` of
    each benign set."""
    if len(clean["amv"]) < FEWEST_SCANS:
        raise ValueError(f"There are too few calibration scans to fit thresholds; bring at least {FEWEST_SCANS}.")
    populations = ((clean, CALIBRATED_FALSE_ALARMS), *((scores, BENIGN_FALSE_ALARMS) for scores in benign))
    for spend in np.arange(2 * FALSE_ALARM_BUDGET, 0, -0.0005):
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
