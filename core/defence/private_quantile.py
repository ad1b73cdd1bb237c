"""Thresholds that hardly tell of any one scan: a percentile drawn at random (Smith 2011, algorithm 2).

A percentile of scores is one scan's own score, to the last digit: whoever knows a scan's score and the threshold sees
whether the scan set it. The exponential mechanism (McSherry & Talwar 2007) draws the threshold instead, the likelier
the closer its rank is to the one that is wanted. Whatever the scores, another scan in the place of one of them changes
the chance of any threshold by a factor of exp(ε) at most.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.defence.conformal import Scale, ScoreGroup

NEAREST, FARTHEST = 0.5, 8.0
"""Between half and eight times of what is shipped a threshold is drawn; no scan has a say in that."""


def private_thresholds(
    scores: Mapping[str, ArrayLike],
    group: ScoreGroup,
    scale: Mapping[str, Scale],
    epsilon: float,
    random: np.random.Generator,
) -> dict[str, float]:
    """Thresholds in the place of `core.defence.conformal.cut_thresholds`, which together are ε-private.

    Each score has the percentile that its share of α leaves, and an equal part of ε. Nothing is promised of false
    alarms: the rank that is met is the right one only about.

    Parameters
    ----------
    scores, group, scale
        As of `cut_thresholds`; how many scans there are is taken for known.
    epsilon : float
        Above 0, of all thresholds of the group together.
    random : Generator
        Nobody outside may know its state.

    Raises
    ------
    ValueError
        ε isn't above 0; one sentence.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"The privacy ε of thresholds must be above 0, not {epsilon:g}.")
    found = {}
    for name, share in group.shares.items():
        values = scale[name].excess(np.asarray(scores[name], dtype=float))
        at = drawn_quantile(values, group.alpha * share, epsilon / len(group.shares), random)
        limit = scale[name].value(at)
        found[name] = max(limit, scale[name].shipped) if name in group.only_raised else limit
    return found


def drawn_quantile(values: ArrayLike, above: float, epsilon: float, random: np.random.Generator) -> float:
    """A value that about the share `above` of `values` exceeds, ε-private; all in units of excess."""
    edges, weights = _pieces(values, above, epsilon)
    piece = random.choice(len(weights), p=np.exp(weights - np.logaddexp.reduce(weights)))
    return float(2 ** random.uniform(edges[piece], edges[piece + 1]))


def log_density(at: float, values: ArrayLike, above: float, epsilon: float) -> float:
    """How likely `drawn_quantile` draws `at` from these values: the logarithm of the density over log₂ of excess."""
    edges, weights = _pieces(values, above, epsilon)
    piece = min(max(int(np.searchsorted(edges, math.log2(at), side="right")) - 1, 0), len(weights) - 1)
    return float(weights[piece] - np.logaddexp.reduce(weights) - np.log(edges[piece + 1] - edges[piece]))


def _pieces(values: ArrayLike, above: float, epsilon: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The n + 2 edges between ranks, in log₂ of the excess, and the logarithm of each piece's weight.

    In the piece from the i-th smallest value to the next i values lie at or below: its weight is its length times
    exp(−ε |i − k| / 2), as another value in the place of one moves i by no more than 1.
    """
    excess = np.sort(np.asarray(values, dtype=float))
    inner = np.log2(np.clip(excess, NEAREST, FARTHEST))
    edges = np.concatenate([[math.log2(NEAREST)], inner, [math.log2(FARTHEST)]])
    count = len(excess)
    rank = min(math.ceil((count + 1) * (1 - above) - 1e-9), count)
    with np.errstate(divide="ignore"):
        return edges, np.log(np.diff(edges)) - epsilon / 2 * np.abs(np.arange(count + 1) - rank)
