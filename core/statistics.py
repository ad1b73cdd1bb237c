"""Intervals and detection figures, with near-duplicate groups kept together."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

RESAMPLES = 2000


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


def auc_interval(clean: np.ndarray, attacked: np.ndarray, groups: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the AUC of the same images clean and attacked, (N,) each, resampling whole groups."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count = member.max() + 1
    wins = np.zeros((count, count))  # between the clean images of one group and the attacked ones of another
    for group in range(count):
        own = clean[member == group][:, None]
        against = (attacked > own).sum(0) + 0.5 * (attacked == own).sum(0)
        wins[group] = np.bincount(member, against, minlength=count)
    sizes = np.bincount(member)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    areas = ((drawn @ wins) * drawn).sum(1) / (drawn @ sizes) ** 2
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def tpr_at_false_alarms(clean: np.ndarray, attacked: np.ndarray, false_alarms: float = 0.05) -> float | None:
    """Share of attacked scans above the threshold that the given share of clean scans passes; None where none."""
    if not len(clean) or not len(attacked):
        return None
    return float((attacked > np.quantile(clean, 1 - false_alarms, method="higher")).mean())
