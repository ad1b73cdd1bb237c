"""Intervals and detection figures, with near-duplicate groups kept together."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

RESAMPLES = 2000
BINS = 15


def bootstrap_interval(values: ArrayLike, groups: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean, resampling whole groups (cluster bootstrap).

    Parameters
    ----------
    values : array_like
        (N,) one per image, such as 1 where it was answered correctly.
    groups : array_like of str
        (N,) images of one group are drawn together.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(member, np.asarray(values, dtype=float)), np.bincount(member)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def auc(clean: np.ndarray, attacked: np.ndarray) -> float | None:
    """Area under the ROC curve: chance that an attacked scan scores above a clean one; None where one set is empty."""
    if not len(clean) or not len(attacked):
        return None
    truth = np.r_[np.zeros(len(clean)), np.ones(len(attacked))]
    return float(roc_auc_score(truth, np.r_[clean, attacked]))


def auc_interval(
    clean: np.ndarray, attacked: np.ndarray, groups: ArrayLike, seed: int = 0, attacked_groups: ArrayLike | None = None
) -> tuple[float, float]:
    """95 % percentile interval of the AUC, resampling whole groups.

    Parameters
    ----------
    clean, attacked : array
        (N,) and (M,) scores.
    groups, attacked_groups : array_like of str
        (N,) of the clean images, and (M,) of the attacked ones where these aren't the same images in the same order.
    """
    members = np.asarray(groups), np.asarray(groups if attacked_groups is None else attacked_groups)
    names = np.unique(np.concatenate(members))
    member, rival = (np.searchsorted(names, each) for each in members)
    count = len(names)
    wins = np.zeros((count, count))  # between the clean images of one group and the attacked ones of another
    for group in np.unique(member):
        own = clean[member == group][:, None]
        against = (attacked > own).sum(0) + 0.5 * (attacked == own).sum(0)
        wins[group] = np.bincount(rival, against, minlength=count)
    sizes, rivals = np.bincount(member, minlength=count), np.bincount(rival, minlength=count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    pairs = (drawn @ sizes) * (drawn @ rivals)  # a draw without either kind says nothing
    areas = ((drawn @ wins) * drawn).sum(1)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def calibration_error(
    confidence: np.ndarray, hits: np.ndarray, groups: ArrayLike, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Expected calibration error over 15 bins of equal width (Guo et al. 2017, eq. 3), and its 95 % interval.

    Parameters
    ----------
    confidence : array
        (N,) probability of the class that was answered.
    hits : array
        (N,) whether that class is right.
    groups : array_like of str
        (N,) images of one group are drawn together.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count, bins = member.max() + 1, np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.zeros((count, BINS))
    np.add.at(gaps, (member, bins), confidence - hits)
    sizes = np.bincount(member)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    errors = np.abs(drawn @ gaps).sum(1) / (drawn @ sizes)
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(np.abs(gaps.sum(0)).sum() / len(hits)), (float(low), float(high))


def tpr_at_false_alarms(clean: np.ndarray, attacked: np.ndarray, false_alarms: float = 0.05) -> float | None:
    """Share of attacked scans above the threshold that the given share of clean scans passes; None where none."""
    if not len(clean) or not len(attacked):
        return None
    return float((attacked > np.quantile(clean, 1 - false_alarms, method="higher")).mean())
