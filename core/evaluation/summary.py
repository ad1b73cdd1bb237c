"""Answers and limits → accuracies, alarms and detection figures, each with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.bundles.calibration import Limits, Responses
from core.defence.decision import RecordedDecisions, decide_recorded
from core.statistics import auc, auc_interval, bootstrap_interval, tpr_at_false_alarms

SHARES_REPORTED = (
    "clean_accuracy",
    "attacked_accuracy",
    "defended_clean_accuracy",
    "defended_attacked_accuracy",
    "flagged_clean",
    "flagged_attacked",
)


def summary(
    labels: np.ndarray,
    groups: Sequence[str],
    limits: Sequence[Limits],
    clean: Responses,
    attacked: Responses | None = None,
) -> dict[str, Any]:
    """Figures and intervals, as declared in `core.cli.schema.EVALUATE` without `settings`.

    Parameters
    ----------
    labels, groups, limits
        (N,) true class, near-duplicate group and limits of each image.
    """
    measured = _measured(clean, decide_recorded(clean, limits), labels, "clean")
    decisions, fooled = None, np.zeros(len(labels), dtype=bool)
    if attacked:
        decisions = decide_recorded(attacked, limits)
        measured |= _measured(attacked, decisions, labels, "attacked")
        fooled = (measured["clean_accuracy"] == 1) & (measured["attacked_accuracy"] == 0)
    return {
        "n": len(labels),
        "refused": int(decide_recorded(clean, limits).refused.sum()),
        "refused_attacked": int(decisions.refused.sum()) if decisions else None,
        **{name: float(measured[name].mean()) if name in measured else None for name in SHARES_REPORTED},
        "intervals": {name: list(bootstrap_interval(values, groups)) for name, values in measured.items()},
        "detection": _detection(clean, attacked, fooled, groups) if attacked else {},
        "flagged_successful": float(decisions.flagged[fooled].mean()) if decisions and fooled.any() else None,
        "flagged_label_kept": _label_kept(attacked or clean, decisions or decide_recorded(clean, limits)),
        "ssim_purified": _mean_ssim(decisions) if decisions else None,
        "seconds_per_image": clean.seconds["detect"] + measured["flagged_clean"].mean() * clean.seconds["purify"],
    }


def _measured(
    responses: Responses, decisions: RecordedDecisions, labels: np.ndarray, kind: str
) -> dict[str, np.ndarray]:
    return {
        f"{kind}_accuracy": (np.array(responses.undefended) == labels).astype(float),
        f"defended_{kind}_accuracy": (decisions.answers == labels).astype(float),
        f"flagged_{kind}": decisions.flagged.astype(float),
    }


def _label_kept(responses: Responses, decisions: RecordedDecisions) -> float | None:
    """Share of the flagged scans whose label is still the classifier's own."""
    chosen = decisions.flagged & ~decisions.refused
    return float((decisions.answers == responses.undefended)[chosen].mean()) if chosen.any() else None


def _mean_ssim(decisions: RecordedDecisions) -> float | None:
    return float(decisions.ssim[decisions.flagged].mean()) if decisions.flagged.any() else None


def _detection(
    clean: Responses, attacked: Responses, fooled: np.ndarray, groups: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """How well each score tells the attacked images, all and those that fooled the classifier, from the clean ones."""
    return {
        name: _separation(np.array(values), np.array(attacked.scores[name]), fooled, groups)
        for name, values in clean.scores.items()
    }


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
