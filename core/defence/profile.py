"""A site's profile: the detector's thresholds refitted on the site's own unattacked scans, with what that promises.

It holds numbers alone: no pixels, no file names, no digests of scans. It changes thresholds and nothing else: which
scans are refused, how far they are purified and which borderline answers stand is as the bundle says.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from core.bundles import Bundle, BundleError, weights_record
from core.bundles.calibration import Limits
from core.defence.conformal import CONFIDENCE, ScoreGroup, cut_thresholds, false_alarm_bound, fewest_scans, scales
from core.defence.fitting import ALTERED_SHARES, FALSE_ALARM_BUDGET, MISLEADING_SHARES, SHARES
from core.defence.private_quantile import private_thresholds

#: What the detector asks, each question with its own budget. Thresholds of attention variation and reconstruction error
#: are set by light noise and blur, not by clean scans, so a site's clean scans may raise them and no more.
GROUPS: Mapping[str, ScoreGroup] = {
    "flagged": ScoreGroup(FALSE_ALARM_BUDGET, SHARES, frozenset({"mae_error", "amv"})),
}
#: The same where the bundle tells what is altered from what is misleading: benign changes bind neither.
TWO_QUESTIONS: Mapping[str, ScoreGroup] = {
    "altered": ScoreGroup(FALSE_ALARM_BUDGET, ALTERED_SHARES),
    "flagged": ScoreGroup(FALSE_ALARM_BUDGET, MISLEADING_SHARES),
}
#: Raised whenever a score is computed in another way, as thresholds of the old one are false then.
VERSION = 1
KIND = "Purescan site profile"
RECOMMENDED_SCANS = 40
NO_BOUND = 1.0


class ProfileError(ValueError):
    """One sentence: what is wrong with a profile, or why none can be made."""


@dataclass(frozen=True)
class GroupLimits:
    """What was fitted for one question of the detector.

    Attributes
    ----------
    alpha : float
        A further clean scan of the site is flagged with a chance of at most this, on average over such fits; of
        thresholds that were drawn privately, what they aim at.
    bound : float
        The false-alarm rate of these very thresholds is at most this, with a confidence of `CONFIDENCE`; `NO_BOUND` of
        thresholds that were drawn privately.
    thresholds : mapping of str to float
        Score → threshold.
    """

    alpha: float
    bound: float
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Profile:
    """The thresholds of one site, for one classifier of one bundle.

    Attributes
    ----------
    bundle, classifier : str
        What they are for.
    weights_sha256 : str
        `weights_digest` of what the scores were computed with, hex.
    scans : int
        How many scans they were fitted on; a volume is one.
    made : date
        The day.
    groups : mapping of str to GroupLimits
        Question of the detector, as in `groups_of` → what was fitted for it.
    version : int
        `VERSION` of the program that made it.
    epsilon : float or None
        How private the thresholds are, see `core.defence.private_quantile`; None of thresholds as fitted.
    """

    bundle: str
    classifier: str
    weights_sha256: str
    scans: int
    made: date
    groups: Mapping[str, GroupLimits]
    version: int = VERSION
    epsilon: float | None = None

    @property
    def thresholds(self) -> dict[str, float]:
        """Score → threshold, of all groups."""
        return {name: limit for group in self.groups.values() for name, limit in group.thresholds.items()}

    @cached_property
    def key(self) -> str:
        """What tells one profile from another."""
        return hashlib.sha256(write_profile(self).encode("ascii")).hexdigest()

    @property
    def promise(self) -> str:
        """What it promises, in plain sentences."""
        if self.epsilon is not None:
            return (
                f"The thresholds were drawn at random and hardly tell of any one scan (ε = {self.epsilon:g}). "
                "How many of the site’s unattacked scans pass them isn’t promised."
            )
        return " ".join(_promise(name, group) for name, group in self.groups.items())

    def applied_to(self, limits: Limits) -> Limits:
        """The same limits with these thresholds."""
        return replace(limits, thresholds={**limits.thresholds, **self.thresholds})


def groups_of(limits: Limits) -> Mapping[str, ScoreGroup]:
    """What a detector with these limits asks."""
    return TWO_QUESTIONS if limits.altered else GROUPS


def _promise(name: str, group: GroupLimits) -> str:
    return (
        f"Of the site’s unattacked scans on average at most {100 * group.alpha:g} % are {name}; with "
        f"these thresholds, at most {100 * group.bound:.1f} % with {100 * CONFIDENCE:g} % confidence."
    )


def fit_profile(
    scores: Mapping[str, ArrayLike],
    bundle: Bundle,
    classifier: str | None = None,
    made: date | None = None,
    epsilon: float | None = None,
) -> Profile:
    """Refit the thresholds on a site's own unattacked scans, see `core.defence.conformal`.

    Parameters
    ----------
    scores : mapping of str to array_like
        Score → (N,), one value a scan that the bundle takes; of a volume one slice alone, as its slices are no
        independent scans, and of scans with the same pixels one.
    made : date, optional
        Today's in UTC by default.
    epsilon : float, optional
        Draws thresholds that are so private, all of them together; for each profile that is made anew.

    Raises
    ------
    ProfileError
        There are too few scans, a score isn't finite, or ε isn't above 0; one sentence.
    BundleError
        The bundle has no such classifier, or no thresholds for it.
    """
    name = bundle.classifier_name(classifier)
    limits, calibration = bundle.starting_limits(name), bundle.starting_calibration(name)
    shipped = limits.thresholds
    values = {score: np.asarray(scores[score], dtype=float) for score in shipped}
    count = len(next(iter(values.values())))
    if not all(np.isfinite(own).all() for own in values.values()):
        raise ProfileError("A score is NaN or infinite, so no threshold can be fitted; load the bundle again.")
    if epsilon is not None and not 0 < epsilon < math.inf:
        raise ProfileError(f"The privacy ε of thresholds must be above 0, not {epsilon:g}.")
    scale, groups = scales(calibration, shipped), {}
    for question, group in groups_of(limits).items():
        if count < fewest_scans(group.alpha):
            raise ProfileError(
                f"{count} scans are too few: below {fewest_scans(group.alpha)} no threshold can hold false alarms at "
                f"{100 * group.alpha:g} %, and {RECOMMENDED_SCANS} or more are advised."
            )
        if epsilon is None:
            thresholds, bound = cut_thresholds(values, group, scale), false_alarm_bound(count, group.alpha)
        else:
            # Without a seed, NumPy begins with the system's entropy, which nobody outside can draw again.
            own, random = epsilon * len(group.shares) / len(shipped), np.random.default_rng()
            thresholds, bound = private_thresholds(values, group, scale, own, random), NO_BOUND
        groups[question] = GroupLimits(group.alpha, bound, thresholds)
    return Profile(
        bundle=bundle.name,
        classifier=name,
        weights_sha256=weights_digest(bundle, name),
        scans=count,
        made=made or datetime.now(UTC).date(),
        groups=groups,
        epsilon=epsilon,
    )


def weights_digest(bundle: Bundle, classifier: str) -> str:
    """SHA-256 over the names and digests of everything trained that this classifier's scores depend on, hex."""
    text = json.dumps(weights_record(bundle, classifier), sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def with_profile(bundle: Bundle, profile: Profile | None) -> Bundle:
    """The bundle with a site's thresholds in the place of its own; everything else is shared.

    ProfileError, one sentence, where the profile is not for this bundle; itself where there is no profile.
    """
    if profile is None:
        return bundle
    check_profile(profile, bundle)
    limits = profile.applied_to(bundle.starting_limits(profile.classifier))
    return replace(bundle, limits={**bundle.limits, profile.classifier: limits})


def check_profile(profile: Profile, bundle: Bundle, classifier: str | None = None) -> None:
    """Raise ProfileError, one sentence, where a profile is not for this bundle, its weights, or this classifier."""
    if profile.bundle != bundle.name:
        raise ProfileError(f"The profile is for the bundle {profile.bundle}, not for {bundle.name}.")
    wanted = profile.classifier if classifier is None else classifier
    if profile.classifier != wanted:
        raise ProfileError(f"The profile is for the classifier {profile.classifier}, not for {wanted}.")
    try:
        limits = bundle.starting_limits(profile.classifier)
    except BundleError as error:
        raise ProfileError(str(error)) from error
    if profile.weights_sha256 != weights_digest(bundle, profile.classifier):
        raise ProfileError("The profile was made with other weights than today’s: calibrate again.")
    questions = groups_of(limits)
    asked = {name: set(group.shares) for name, group in questions.items()}
    if profile.version != VERSION or {name: set(group.thresholds) for name, group in profile.groups.items()} != asked:
        raise ProfileError("The profile was made by another version of Purescan, with other scores: calibrate again.")
    for name, group in profile.groups.items():
        if any(group.thresholds[score] < limits.thresholds[score] for score in questions[name].only_raised):
            raise ProfileError("The profile lowers a threshold that calibration only raises: calibrate again.")


def write_profile(profile: Profile) -> str:
    """A profile as JSON."""
    groups = {
        name: {"alpha": own.alpha, "bound": own.bound, "confidence": CONFIDENCE, "thresholds": dict(own.thresholds)}
        for name, own in profile.groups.items()
    }
    record = {"kind": KIND, "version": profile.version, "bundle": profile.bundle, "classifier": profile.classifier}
    record |= {"weights_sha256": profile.weights_sha256, "scans": profile.scans, "made": profile.made.isoformat()}
    record |= {} if profile.epsilon is None else {"epsilon": profile.epsilon}
    return json.dumps(record | {"groups": groups}, indent=1) + "\n"
