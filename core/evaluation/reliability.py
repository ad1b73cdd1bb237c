"""What the recorded calibration scans tell of one answer: how sure it may be, how often such answers are right, and how
far from the scans behind the models it was given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.bundles import Bundle
from core.bundles.calibration import Calibration
from core.evaluation.operating_points import Share
from core.evaluation.tradeoff import results_entry
from core.statistics import auc, bootstrap_interval

FEWEST = 20  # scans that a share is told of
BLIND_BELOW = 0.6  # area under the ROC curve; guessing is .5
SPELLED = {"T1c": "T1 with contrast"}  # as `core.models.acquisition.SEQUENCES` has it


class FindingRates(NamedTuple):
    """How often the second of two classes is found where it is, and not found where it isn't; None of too few scans."""

    sensitivity: Share | None
    specificity: Share | None


class LeftOut(NamedTuple):
    """How often classifiers were right at sites that each was trained without: sites, and shares in [0, 1]."""

    sites: int
    lowest: float
    highest: float


def left_out(bundle: Bundle) -> LeftOut | None:
    """What `training.measure.leave_one_out` recorded of the default classifier's recipe; None where it hasn't."""
    sites = (results_entry(bundle.folder, "left_out") or {}).get("sites", {})
    shares = [float(site["all"]["accuracy"]) for site in sites.values()]
    return LeftOut(len(shares), min(shares), max(shares)) if shares else None


@dataclass(frozen=True)
class Reliability:
    """What the unattacked calibration scans of one classifier tell.

    Attributes
    ----------
    count : int
        How many they are.
    temperature : float
        What the logits must be divided by for the true classes to be likeliest (Guo et al. 2017, section 4.2); at least
        1, as few wrong answers are no reason to be surer than the classifier.
    scope : ndarray
        (N,) distances to the training scans, ascending.
    rates : mapping of str to FindingRates
        By MR sequence; empty where the record doesn't tell sequences, or there are more than two classes.
    blind : frozenset of str
        Scores that tell none of the attacks of the t* ladder from clean scans.
    """

    count: int
    temperature: float
    scope: NDArray[np.float64]
    rates: Mapping[str, FindingRates]
    blind: frozenset[str]

    def calibrated(self, probability: float) -> float:
        """The probability of the likelier of two classes at this temperature, both in [.5, 1]."""
        return float(1 / (1 + np.exp(-_log_odds(probability) / self.temperature)))

    def farther_than(self, distance: float) -> float:
        """Share of the calibration scans in [0, 1] that lie nearer to the training scans."""
        return float(np.searchsorted(self.scope, distance) / self.count)


def reliability(calibration: Calibration) -> Reliability:
    """What a record tells."""
    clean, labels = calibration.conditions["clean"], np.array(calibration.labels)
    right = np.array(clean.undefended) == labels
    return Reliability(
        count=len(labels),
        temperature=_temperature(_log_odds(clean.certainty), right),
        scope=np.sort(np.array(clean.scope)),
        rates=_rates(calibration, right, labels) if labels.max() < 2 else {},
        blind=frozenset(name for name in clean.scores if _is_blind(calibration, name)),
    )


def _log_odds(probability: float | list[float]) -> NDArray[np.float64]:
    kept = np.clip(np.asarray(probability, dtype=float), 1e-6, 1 - 1e-6)
    return np.log(kept / (1 - kept))


def _temperature(odds: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    from scipy.optimize import minimize_scalar  # here, as most who load this never ask

    signed = np.where(right, odds, -odds)
    found = minimize_scalar(
        lambda power: np.logaddexp(0, -signed / np.exp(power)).mean(), bounds=(0, 3), method="bounded"
    )
    return float(np.exp(found.x))


def _rates(calibration: Calibration, right: NDArray[np.bool_], labels: NDArray[np.int_]) -> dict[str, FindingRates]:
    groups, sequences = np.array(calibration.groups), np.array(calibration.sequences)

    def share(among: NDArray[np.bool_]) -> Share | None:
        if among.sum() < FEWEST:
            return None
        low, high = bootstrap_interval(right[among], groups[among])
        return Share(float(right[among].mean()), low, high, int(among.sum()))

    return {
        SPELLED.get(name, name): FindingRates(
            share((sequences == name) & (labels == 1)), share((sequences == name) & (labels == 0))
        )
        for name in sorted(set(calibration.sequences))
    }


def _is_blind(calibration: Calibration, score: str) -> bool:
    clean = np.array(calibration.clean[score])
    areas = [auc(clean, np.array(attacked[score])) for attacked in calibration.attacked.values()]
    return max(area or 0.0 for area in areas) < BLIND_BELOW
