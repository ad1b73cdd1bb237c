"""What a choice of thresholds costs on the calibration scans, and how well each score separates.

Every figure on a calibration scan is made with limits that were fitted without its fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_curve

from core.attacks import CORRUPTIONS
from core.bundles import Bundle, mae_of
from core.bundles.calibration import NOTHING, Calibration, Limits, Responses
from core.defence.decision import decide_recorded, joint_scores
from core.defence.fitting import FOLDS, calibration_folds, cross_fitted_limits
from core.detection.scores import detection_masks
from core.statistics import auc, auc_interval, bootstrap_interval

JOINT = "joint"


class Condition(NamedTuple):
    """What was done to the calibration scans before they were answered.

    name: as in `Calibration.conditions`; method: in `core.attacks.METHODS`; strength: ε, in 1/255 where the name ends
    so, or the severity of a benign change; NaN where the name has none.
    """

    name: str
    method: str
    strength: float

    @property
    def benign(self) -> bool:
        """Whether nobody attacks."""
        return self.method in CORRUPTIONS


class Share(NamedTuple):
    """A share in [0, 1] of `n` scans, with its 95 % bootstrap interval over near-duplicate groups."""

    value: float
    low: float
    high: float
    n: int

    @property
    def hits(self) -> int:
        """Of the `n` scans, how many."""
        return round(self.value * self.n)


@dataclass(frozen=True)
class OperatingPoint:
    """What limits cost: on the clean scans, and on the same scans under one condition.

    Attributes
    ----------
    false_alarms : Share
        Of the clean scans, those that are flagged.
    misses : Share
        Of all attacked scans, those that fooled the classifier (which was right before) and were not flagged.
    flagged, altered : Share
        Of all attacked scans; altered is None where the bundle doesn't ask.
    altered_clean : Share or None
        Of the clean scans.
    undefended_clean, defended_clean, undefended_attacked, defended_attacked : Share
        Accuracies; behind the defence a refusal counts as wrong.
    label_kept : Share or None
        Of the scans that were purified under the condition and not refused, those whose label is still as the
        classifier had given it; None where there are none.
    turned_wrong, turned_right : int
        Of the same scans, those whose answer is right undefended and wrong defended, and the other way round. A label
        may also change from one wrong class to another.
    let_stand : int
        Of the same scans, those whose answer is wrong and stands as it is borderline, where purification would put it
        right.
    seconds : float
        Mean time a clean scan: detection, and purification where it comes to that.
    """

    false_alarms: Share
    misses: Share
    flagged: Share
    undefended_clean: Share
    defended_clean: Share
    undefended_attacked: Share
    defended_attacked: Share
    label_kept: Share | None
    turned_wrong: int
    turned_right: int
    let_stand: int
    seconds: float
    altered: Share | None = None
    altered_clean: Share | None = None


class Roc(NamedTuple):
    """false_alarms and detected: (P,) shares in [0, 1], both rising from 0 to 1; auc in [0, 1]; its 95 % interval."""

    false_alarms: np.ndarray
    detected: np.ndarray
    auc: float
    interval: tuple[float, float]


def recorded(calibration: Calibration) -> list[Condition]:
    """Everything but ``clean`` that all calibration scans were answered under, by method and strength."""
    whole = len(calibration.labels)
    names = [name for name, answers in calibration.conditions.items() if name != "clean" and len(answers) == whole]
    return sorted(map(_condition, names), key=lambda condition: (condition.method, condition.strength, condition.name))


def _condition(name: str) -> Condition:
    method, _, rest = name.partition(" ")
    try:
        strength = float(rest.removesuffix("/255").split()[-1])
    except (IndexError, ValueError):
        strength = float("nan")
    return Condition(name, method, strength)


def thresholds_at(
    calibration: Calibration, percentiles: Mapping[str, float], fitted: Sequence[Limits] | None = None
) -> list[Limits]:
    """For each calibration scan the limits that its fold had no part in, with thresholds at percentiles.

    Parameters
    ----------
    percentiles : mapping of str to float
        Score → percentile, in [0, 100], of the clean scans of the other folds. A score that is not named keeps the
        threshold that calibration fits.
    fitted : sequence of Limits, optional
        What `core.bundles.calibration.cross_fitted_limits` gives, where it is known already: it takes most of the time.

    Raises
    ------
    ValueError
        A percentile is out of range, or there is no such score; one sentence.
    """
    for name, percentile in percentiles.items():
        if name not in calibration.clean:
            raise ValueError(f"There is no score named {name!r}; choose one of: {', '.join(calibration.clean)}.")
        if not 0 <= percentile <= 100:
            raise ValueError(f"The percentile of {name} must be from 0 to 100, not {percentile}.")
    fitted = cross_fitted_limits(calibration) if fitted is None else fitted
    fold_of = calibration_folds(calibration)
    clean = {name: np.array(calibration.clean[name]) for name in percentiles}
    moved = [
        {name: float(np.percentile(clean[name][fold_of != fold], at)) for name, at in percentiles.items()}
        for fold in range(FOLDS)
    ]
    return [replace(own, thresholds={**own.thresholds, **moved[fold]}) for own, fold in zip(fitted, fold_of)]


def operating_point(calibration: Calibration, condition: str, limits: Sequence[Limits]) -> OperatingPoint:
    """What `limits`, (N,) of each calibration scan's own, cost where `condition` is what happens to the scans.

    Raises
    ------
    ValueError
        The condition isn't recorded; one sentence.
    """
    changed, clean = _answers(calibration, condition), calibration.conditions["clean"]
    labels, groups = np.array(calibration.labels), np.array(calibration.groups)
    before, after = decide_recorded(clean, limits), decide_recorded(changed, limits)
    overruled = decide_recorded(changed, [replace(own, borderline=NOTHING) for own in limits])
    right, unfooled = np.array(clean.undefended) == labels, np.array(changed.undefended) == labels
    purified, mended = after.purified & ~after.refused, after.answers == labels
    kept = after.answers == np.array(changed.undefended)
    asked = all(own.altered for own in limits)
    return OperatingPoint(
        false_alarms=_share(before.flagged, groups),
        misses=_share(right & ~unfooled & ~after.flagged, groups),
        flagged=_share(after.flagged, groups),
        undefended_clean=_share(right, groups),
        defended_clean=_share(before.answers == labels, groups),
        undefended_attacked=_share(unfooled, groups),
        defended_attacked=_share(mended, groups),
        label_kept=_share(kept[purified], groups[purified]) if purified.any() else None,
        turned_wrong=int((unfooled & ~mended)[purified].sum()),
        turned_right=int((~unfooled & mended)[purified].sum()),
        let_stand=int((~mended & (overruled.answers == labels)).sum()),
        seconds=clean.seconds["detect"] + float(before.purified.mean()) * clean.seconds["purify"],
        altered=_share(after.altered, groups) if asked else None,
        altered_clean=_share(before.altered, groups) if asked else None,
    )


def operating_points_by_site(
    calibration: Calibration, condition: str, limits: Sequence[Limits]
) -> dict[str, OperatingPoint]:
    """Site → what `operating_point` says of its scans alone; empty where the record tells of one site or none."""
    return {
        site: operating_point(calibration.part(places), condition, [limits[place] for place in places])
        for site, places in calibration.places.items()
    }


def _share(hits: np.ndarray, groups: np.ndarray) -> Share:
    return Share(float(hits.mean()), *bootstrap_interval(hits, groups), len(hits))


def _answers(calibration: Calibration, condition: str) -> Responses:
    if condition not in calibration.conditions:
        known = ", ".join(calibration.conditions)
        raise ValueError(f"Nothing is recorded under {condition!r}; choose one of: {known}.")
    return calibration.conditions[condition]


def roc(calibration: Calibration, condition: str, score: str, limits: Sequence[Limits] = ()) -> Roc:
    """How a score tells the scans under `condition`, all of them, from the clean ones.

    Parameters
    ----------
    score : str
        A detection score, or `JOINT` for the decision itself, flagged or, where the bundle asks that, altered: all its
        thresholds are multiplied by the same factor, which runs from large to small; the curve passes through the
        operating point where it is 1.
    limits : sequence of Limits
        (N,) of each calibration scan's own; for `JOINT` only.

    Raises
    ------
    ValueError
        The condition isn't recorded, or there is no such score; one sentence.
    """
    answers = calibration.conditions["clean"], _answers(calibration, condition)
    if score == JOINT:
        clean, changed = (joint_scores(part, limits) for part in answers)
    elif score in answers[0].scores:
        clean, changed = (np.array(part.scores[score]) for part in answers)
    else:
        raise ValueError(f"There is no score named {score!r}; choose one of: {', '.join([*answers[0].scores, JOINT])}.")
    truth = np.r_[np.zeros(len(clean)), np.ones(len(changed))]
    false_alarms, detected, _ = roc_curve(truth, np.r_[clean, changed])
    area = auc(clean, changed)
    assert area is not None  # neither set is empty
    return Roc(false_alarms, detected, area, auc_interval(clean, changed, calibration.groups))


def hidden_pixels(bundle: Bundle) -> np.ndarray:
    """(M, H, W) bool: the pixels that each of the detector's masks hides. Each pixel is hidden exactly once."""
    masks = detection_masks(bundle, torch.device("cpu")).numpy()
    side, size = round(masks.shape[1] ** 0.5), mae_of(bundle).patch
    return masks.reshape(-1, side, side).repeat(size, axis=1).repeat(size, axis=2)
