"""The one rule: is a scan flagged or refused, how much is it purified, and which of its answers is the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.bundles.calibration import Limits, Responses

REFUSED = -1


@dataclass(frozen=True)
class Decisions:
    """What limits make of N scans.

    Attributes
    ----------
    above : mapping of str to ndarray
        Score → (N,) bool, whether it is above its threshold.
    flagged, altered, refused : ndarray
        (N,) bool; altered is by the scores of `Limits.altered`, and says nothing of flagged; refused is what lies too
        far from the training scans.
    kept_borderline : ndarray
        (N,) bool: purified, and the classifier's own answer is the decision all the same, as it is borderline.
    t_star : ndarray
        (N,) int, 0 where there is nothing to purify.
    """

    above: Mapping[str, NDArray[np.bool_]]
    flagged: NDArray[np.bool_]
    altered: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    kept_borderline: NDArray[np.bool_]
    t_star: NDArray[np.int_]

    @property
    def purified(self) -> NDArray[np.bool_]:
        """(N,) whether the scan is purified: it is flagged, altered, or both, and its limits purify."""
        return self.t_star > 0

    @property
    def overruled(self) -> NDArray[np.bool_]:
        """(N,) whether the decision is the answer to the estimate and not to the scan itself."""
        return self.purified & ~self.kept_borderline


def decide(
    scores: Mapping[str, ArrayLike], certainty: ArrayLike, scope: ArrayLike, limits: Limits | Sequence[Limits]
) -> Decisions:
    """Decide on N scans.

    Parameters
    ----------
    scores : mapping of str to array_like
        Detection score → (N,). Limits without thresholds flag nothing, and then there need be no scores.
    certainty : array_like
        (N,) the classifier's probability of its own answer, in [0, 1].
    scope : array_like
        (N,) distance to the training scans.
    limits : Limits, or sequence of Limits
        Those of all scans, or (N,) of each scan's own.

    Notes
    -----
    A comparison with NaN is false: such a score flags nothing, and an answer that is not a number is never borderline.
    """
    scope = np.asarray(scope, dtype=float)
    count = len(scope)
    each = [limits] * count if isinstance(limits, Limits) else limits
    names = dict.fromkeys(name for own in each for name in own.thresholds)
    above = {name: _above(scores, name, each) for name in names}
    flagged, altered, kept = (np.zeros(count, dtype=bool) for _ in range(3))
    for name, passed in above.items():
        asks_altered = np.array([name in own.altered for own in each])
        flagged, altered = flagged | (passed & ~asks_altered), altered | (passed & asks_altered)
    t_star, purified = np.zeros(count, dtype=int), (flagged | altered) & [own.purifies for own in each]
    if purified.any():
        sure = np.asarray(certainty, dtype=float) <= [own.borderline.certainty for own in each]
        kept = purified & sure & (_values(scores, "instability") <= [own.borderline.instability for own in each])
        variation = _values(scores, "amv").tolist()
        t_star = np.array([own.t_star(value) if hit else 0 for own, value, hit in zip(each, variation, purified)])
    refused = scope > [own.scope_limit for own in each]
    return Decisions(above, flagged, altered, refused, kept, t_star)


@dataclass(frozen=True)
class RecordedDecisions(Decisions):
    """The same, and what follows from recorded answers.

    answers: (N,) class of the defended classifier, `REFUSED` where it gives none; ssim: (N,) of the estimates to the
    scans before any change, NaN where not purified.
    """

    answers: NDArray[np.int_]
    ssim: NDArray[np.float64]


def decide_recorded(responses: Responses, limits: Limits | Sequence[Limits]) -> RecordedDecisions:
    """Detect, purify what is flagged or altered, classify, decide: all from recorded answers."""
    made = decide(responses.scores, responses.certainty, responses.scope, limits)
    levels = list(enumerate(made.t_star.tolist()))
    estimates = responses.robust or responses.estimates
    purified = [estimates[t][place] if t else REFUSED for place, t in levels]
    answers = np.where(made.overruled, purified, responses.undefended)
    ssim = np.array([responses.ssim[t][place] if t else np.nan for place, t in levels])
    return RecordedDecisions(**vars(made), answers=np.where(made.refused, REFUSED, answers), ssim=ssim)


def joint_scores(responses: Responses, limits: Sequence[Limits]) -> NDArray[np.float64]:
    """(N,) the largest score of each scan in units of its threshold; limits: (N,) of each scan's own.

    Above 1 where the scan is altered, or, with limits that don't ask that, where it is flagged.
    """
    if len(limits) != len(responses):
        raise ValueError(f"The joint decision needs one set of limits a scan: {len(responses)}, not {len(limits)}.")
    ratios = [
        max(responses.scores[name][i] / own.thresholds[name] for name in own.altered or own.thresholds)
        for i, own in enumerate(limits)
    ]
    return np.array(ratios)


def _above(scores: Mapping[str, ArrayLike], name: str, each: Sequence[Limits]) -> NDArray[np.bool_]:
    return _values(scores, name) > [own.thresholds.get(name, np.inf) for own in each]


def _values(scores: Mapping[str, ArrayLike], name: str) -> NDArray[np.float64]:
    return np.asarray(scores[name], dtype=float)
