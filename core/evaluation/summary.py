"""Answers and limits → accuracies, alarms and detection figures, each with its interval."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from core.bundles.calibration import Limits, Responses
from core.defence.decision import RecordedDecisions, decide_recorded, joint_scores
from core.statistics import auc, auc_interval, bootstrap_interval, tpr_at_false_alarms

SHARES_REPORTED = (
    "clean_accuracy",
    "attacked_accuracy",
    "defended_clean_accuracy",
    "defended_attacked_accuracy",
    "defended_attacked_of_right",
    "flagged_clean",
    "flagged_attacked",
    "altered_clean",
    "altered_attacked",
)


def summary(
    labels: np.ndarray,
    groups: Sequence[str],
    limits: Sequence[Limits],
    clean: Responses,
    attacked: Responses | None = None,
    columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Figures and intervals, as declared in `core.cli.schema.EVALUATE` without `settings`.

    Parameters
    ----------
    labels, groups, limits
        (N,) true class, near-duplicate group and limits of each image.
    columns : mapping of str to sequence of str
        What the shares are reported by as well, such as ``sites`` → (N,) where each image was taken.
    """
    before, decisions, fooled = decide_recorded(clean, limits), None, np.zeros(len(labels), dtype=bool)
    measured = _measured(clean, before, labels, "clean")
    if attacked:
        decisions = decide_recorded(attacked, limits)
        measured |= _measured(attacked, decisions, labels, "attacked")
        right = measured["clean_accuracy"] == 1
        measured["defended_attacked_of_right"] = np.where(right, measured["defended_attacked_accuracy"], np.nan)
        fooled = right & (measured["attacked_accuracy"] == 0)
    if not all(own.altered for own in limits):  # nobody asked
        measured = {name: values for name, values in measured.items() if not name.startswith("altered")}
    whole = _shares(measured, np.array(groups))
    return {
        "n": len(labels),
        "refused": int(before.refused.sum()),
        "refused_attacked": int(decisions.refused.sum()) if decisions else None,
        **{name: whole.get(name) for name in SHARES_REPORTED},
        "intervals": whole["intervals"],
        "detection": _detection(clean, attacked, limits, fooled, groups) if attacked else {},
        "flagged_successful": float(decisions.flagged[fooled].mean()) if decisions and fooled.any() else None,
        "flagged_label_kept": _label_kept(attacked or clean, decisions or before),
        "ssim_purified": _mean_ssim(decisions) if decisions else None,
        "seconds_per_image": clean.seconds["detect"] + before.purified.mean() * clean.seconds["purify"],
        **{name: _shares_by(column, measured, groups) for name, column in columns.items()},
    }


def _measured(
    responses: Responses, decisions: RecordedDecisions, labels: np.ndarray, kind: str
) -> dict[str, np.ndarray]:
    return {
        f"{kind}_accuracy": (np.array(responses.undefended) == labels).astype(float),
        f"defended_{kind}_accuracy": (decisions.answers == labels).astype(float),
        f"flagged_{kind}": decisions.flagged.astype(float),
        f"altered_{kind}": decisions.altered.astype(float),
    }


def _shares_by(
    column: Sequence[str], measured: Mapping[str, np.ndarray], groups: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Value of the column → n, and each share with its interval, over the images that have it."""
    homes, members = np.array(column), np.array(groups)
    places = {name: homes == name for name in sorted(set(column))}
    return {
        name: {"n": int(own.sum())} | _shares({share: values[own] for share, values in measured.items()}, members[own])
        for name, own in places.items()
    }


def _shares(measured: Mapping[str, np.ndarray], groups: np.ndarray) -> dict[str, Any]:
    """Each share with its interval, over the images that it is about; NaN marks the others."""
    about = {name: ~np.isnan(values) for name, values in measured.items()}
    known = {name: chosen for name, chosen in about.items() if chosen.any()}
    return {
        **{name: float(measured[name][chosen].mean()) for name, chosen in known.items()},
        "intervals": {
            name: list(bootstrap_interval(measured[name][chosen], groups[chosen])) for name, chosen in known.items()
        },
    }


def _label_kept(responses: Responses, decisions: RecordedDecisions) -> float | None:
    """Share of the purified scans whose label is still the classifier's own."""
    chosen = decisions.purified & ~decisions.refused
    return float((decisions.answers == responses.undefended)[chosen].mean()) if chosen.any() else None


def _mean_ssim(decisions: RecordedDecisions) -> float | None:
    return float(decisions.ssim[decisions.purified].mean()) if decisions.purified.any() else None


def _detection(
    clean: Responses, attacked: Responses, limits: Sequence[Limits], fooled: np.ndarray, groups: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """How well each score tells the attacked images, all and those that fooled the classifier, from the clean ones.

    ``altered`` are the scores of that question together, each in units of its threshold.
    """
    scores = {name: (np.array(values), np.array(attacked.scores[name])) for name, values in clean.scores.items()}
    if all(own.altered for own in limits):
        scores["altered"] = joint_scores(clean, limits), joint_scores(attacked, limits)
    return {name: _separation(*pair, fooled, groups) for name, pair in scores.items()}


def _separation(
    clean: np.ndarray, attacked: np.ndarray, fooled: np.ndarray, groups: Sequence[str]
) -> Mapping[str, Any]:
    return {
        "auc": auc(clean, attacked),
        "auc_interval": list(auc_interval(clean, attacked, groups)),
        "auc_successful": auc(clean, attacked[fooled]),
        "tpr_at_5_fpr": tpr_at_false_alarms(clean, attacked),
        "tpr_at_5_fpr_successful": tpr_at_false_alarms(clean, attacked[fooled]),
    }
