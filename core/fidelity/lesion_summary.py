"""What a purifier did to many lesions, in shares with intervals."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.fidelity.lesion import KEPT, VERDICTS, Lesion, contrast_change
from core.statistics import bootstrap_interval

_SUMMARY = ("contrast_kept", "contrast_kept_interval", "difference_kept", "contrast_ratio", "edge_ratio", "dice")


def lesion_summary(lesions: Sequence[Lesion], groups: Sequence[str]) -> dict[str, Any]:
    """Figures of many lesions.

    Parameters
    ----------
    lesions, groups : sequence
        Each lesion, and the near-duplicate group of its scan, which a bootstrap keeps together.

    Returns
    -------
    dict
        n; contrast_kept, the share with contrast within 10 %, and its 95 % interval; difference_kept, the same share
        of the plain difference of means; contrast_ratio, edge_ratio and dice, medians; verdicts {verdict: share}.
        All None, and verdicts empty, where there is no lesion.
    """
    if len(lesions) != len(groups):
        raise ValueError(f"One group a lesion is needed, not {len(groups)} for {len(lesions)}.")
    if not lesions:
        return {"n": 0} | dict.fromkeys(_SUMMARY) | {"verdicts": {}}
    kept = [item.contrast_kept for item in lesions]
    counts = Counter(item.verdict for item in lesions)
    figures = (
        float(np.mean(kept)),
        list(bootstrap_interval(kept, groups)),
        float(np.mean([abs(_difference_change(item)) <= KEPT for item in lesions])),
        float(np.median([1 + item.contrast_change for item in lesions])),
        float(np.median([item.edge_after / item.edge_before if item.edge_before else math.inf for item in lesions])),
        float(np.median([item.dice for item in lesions])),
    )
    shares = {name: counts[name] / len(lesions) for name in VERDICTS}
    return {"n": len(lesions)} | dict(zip(_SUMMARY, figures)) | {"verdicts": shares}


def _difference_change(item: Lesion) -> float:
    """As `contrast_change`, of the plain difference; a change of sign is a loss of more than all."""
    sign = math.copysign(1, item.difference_before)
    return contrast_change(abs(item.difference_before), sign * item.difference_after)
