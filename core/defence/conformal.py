"""Thresholds for several scores together from a few clean scans, with a bound that holds whatever their distribution.

For one score this is split-conformal prediction (Vovk 2012, "Conditional validity of inductive conformal predictors"):
of n clean scores the k-th smallest, k = ⌈(n + 1)(1 − α)⌉, is passed by a further clean scan with a chance of at most α,
and the false-alarm rate that it really has, over draws of the n scans, is distributed as Beta(m, n + 1 − m) with
m = n + 1 − k = ⌊α(n + 1)⌋, or below that where scores tie.

For several scores the same law holds if the m blocks are cut one after another (Tukey 1947, "Nonparametric estimation
II. Statistically equivalent blocks and tolerance regions"): each cut takes away the scan with the largest remaining
value of one function of the scores, and that value is the function's threshold. Which function comes when must hang on
n alone, not on the scans. So nothing is lost to a union bound, and no score has to be on the scale of another, however
far a site's scans have moved it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.bundles.calibration import Calibration

CONFIDENCE = 0.9


@dataclass(frozen=True)
class ScoreGroup:
    """Scores that answer one question, and what false alarms they may cost together.

    Attributes
    ----------
    alpha : float
        False alarms that all of them may give together, in (0, 1).
    shares : mapping of str to float
        Score → its part of that budget; sums to 1.
    only_raised : frozenset of str
        Scores whose thresholds are never lowered: as shipped they spare benign changes, which clean scans don't show.
    """

    alpha: float
    shares: Mapping[str, float]
    only_raised: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scale:
    """How far a score is out: 0 where a clean scan of the bundle usually is, 1 at the threshold as shipped."""

    usual: float
    shipped: float

    def excess(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) scores in these units."""
        return (values - self.usual) / (self.shipped - self.usual)

    def value(self, excess: float) -> float:
        """The score at an excess."""
        return self.usual + excess * (self.shipped - self.usual)


def scales(calibration: Calibration, shipped: Mapping[str, float]) -> dict[str, Scale]:
    """Score → its scale, from the bundle's clean calibration scans and its thresholds."""
    return {name: Scale(float(np.median(calibration.clean[name])), limit) for name, limit in shipped.items()}


def cut_count(count: int, alpha: float) -> int:
    """m = ⌊α(n + 1)⌋, how many blocks of n scans may be cut off; 0 where n are too few for any finite threshold."""
    return math.floor(alpha * (count + 1) + 1e-9)


def fewest_scans(alpha: float) -> int:
    """The least n with a finite threshold at α: ⌈1/α⌉ − 1."""
    return math.ceil(1 / alpha - 1e-9) - 1


def false_alarm_bound(count: int, alpha: float, confidence: float = CONFIDENCE) -> float:
    """What the false-alarm rate of thresholds from n scans stays under in this share of all draws of n scans.

    The quantile of Beta(m, n + 1 − m): Vovk 2012, proposition 2b, there in the form of a binomial tail.
    """
    from scipy.special import betaincinv  # here, as most who load this never ask

    cuts = cut_count(count, alpha)
    return float(betaincinv(cuts, count + 1 - cuts, confidence))


def cut_order(cuts: int, shares: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Which scores each of the m cuts is about, from m and the shares alone.

    Scores whose share comes to less than a cut have one together, which the farthest out of them takes; it comes first,
    as each score needs a threshold. The others take turns, by the highest averages (Sainte-Laguë).
    """
    alone = [name for name, share in shares.items() if share * cuts >= 1]
    together = tuple(name for name in shares if name not in alone)
    order = [together] if together else []
    turns = dict.fromkeys(alone, 0)
    while len(order) < cuts:
        if not alone:
            order.append(together)
            continue
        due = max(alone, key=lambda name: shares[name] / (2 * turns[name] + 1))
        turns[due] += 1
        order.append((due,))
    return order


def cut_thresholds(scores: Mapping[str, ArrayLike], group: ScoreGroup, scale: Mapping[str, Scale]) -> dict[str, float]:
    """Thresholds that a further clean scan passes, in any score of the group, with a chance of at most α.

    Parameters
    ----------
    scores : mapping of str to array_like
        Score → (N,), of clean scans that are exchangeable with those to come.
    scale : mapping of str to Scale
        By score; made without these scans.

    Raises
    ------
    ValueError
        There are too few scans for any finite threshold; one sentence.
    """
    values = {name: np.asarray(scores[name], dtype=float) for name in group.shares}
    count = len(next(iter(values.values())))
    cuts = cut_count(count, group.alpha)
    if not cuts:
        raise ValueError(
            f"No threshold holds false alarms at {100 * group.alpha:g} % from {count} scans; bring at least "
            f"{fewest_scans(group.alpha)}."
        )
    found: dict[tuple[str, ...], float] = {}
    left = np.ones(count, dtype=bool)
    order = cut_order(cuts, group.shares)
    main = (max(group.shares, key=lambda name: group.shares[name]),)
    for names in order:
        place, at = _farthest_left(values, names, scale, left)
        if at <= 1 and main in order and group.only_raised.issuperset(names):
            # Nobody left is beyond what is shipped, which stays, and the cut is the main score's. That is a cut by one
            # function still: whoever is beyond comes first, and then the others by their main score.
            found[names], names = 1.0, main
            place, at = _farthest_left(values, names, scale, left)
        left[place], found[names] = False, at
    cut = {name: _threshold(values[name], scale[name], at) for names, at in found.items() for name in names}
    return {name: max(cut[name], scale[name].shipped) if name in group.only_raised else cut[name] for name in cut}


def _threshold(values: NDArray[np.float64], scale: Scale, excess: float) -> float:
    """The score at an excess; where scans lie there, theirs, which rounding must not put above it."""
    there = values[scale.excess(values) == excess]
    return float(there.max()) if len(there) else scale.value(excess)


def _farthest_left(
    values: Mapping[str, NDArray[np.float64]],
    names: Sequence[str],
    scale: Mapping[str, Scale],
    left: NDArray[np.bool_],
) -> tuple[int, float]:
    """Of the scans that are left the one with the largest excess over these scores: its place, and that excess."""
    excess = np.max([scale[name].excess(values[name]) for name in names], axis=0)
    place = int(np.argmax(np.where(left, excess, -np.inf)))
    return place, float(excess[place])
