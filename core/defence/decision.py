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
    flagged, refused : ndarray
        (N,) bool; refused is what lies too far from the training scans.
    kept_borderline : ndarray
        (N,) bool: flagged, and the classifier's own answer is the decision all the same, as it is borderline.
    t_star : ndarray
        (N,) int, 0 where not flagged.
    """

    above: Mapping[str, NDArray[np.bool_]]
    flagged: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    kept_borderline: NDArray[np.bool_]
    t_star: NDArray[np.int_]

    @property
    def overruled(self) -> NDArray[np.bool_]:
        """(N,) whether the decision is the answer to the estimate and not to the scan itself."""
        return self.flagged & ~self.kept_borderline


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
    flagged = np.any(list(above.values()), axis=0) if above else np.zeros(count, dtype=bool)
    kept, t_star = np.zeros(count, dtype=bool), np.zeros(count, dtype=int)
    if flagged.any():
        sure = np.asarray(certainty, dtype=float) <= [own.borderline.certainty for own in each]
        kept = flagged & sure & (_values(scores, "instability") <= [own.borderline.instability for own in each])
        variation = _values(scores, "amv").tolist()
        t_star = np.array([own.t_star(value) if hit else 0 for own, value, hit in zip(each, variation, flagged)])
    refused = scope > [own.scope_limit for own in each]
    return Decisions(above, flagged, refused, kept, t_star)


@dataclass(frozen=True)
class RecordedDecisions(Decisions):
    """The same, and what follows from recorded answers.

    answers: (N,) class of the defended classifier, `REFUSED` where it gives none; ssim: (N,) of the estimates to the
    scans before any change, NaN where not flagged.
    """

    answers: NDArray[np.int_]
    ssim: NDArray[np.float64]


def decide_recorded(responses: Responses, limits: Limits | Sequence[Limits]) -> RecordedDecisions:
    """Detect, purify what is flagged, classify, decide: all from recorded answers."""
    made = decide(responses.scores, responses.certainty, responses.scope, limits)
    levels = list(enumerate(made.t_star.tolist()))
    purified = [responses.estimates[t][place] if t else REFUSED for place, t in levels]
    answers = np.where(made.overruled, purified, responses.undefended)
    ssim = np.array([responses.ssim[t][place] if t else np.nan for place, t in levels])
    return RecordedDecisions(**vars(made), answers=np.where(made.refused, REFUSED, answers), ssim=ssim)


def _above(scores: Mapping[str, ArrayLike], name: str, each: Sequence[Limits]) -> NDArray[np.bool_]:
    return _values(scores, name) > [own.thresholds.get(name, np.inf) for own in each]


def _values(scores: Mapping[str, ArrayLike], name: str) -> NDArray[np.float64]:
    return np.asarray(scores[name], dtype=float)
