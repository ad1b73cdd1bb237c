"""How much of an attribution lies within an outlined lesion."""

from typing import NamedTuple

import numpy as np


class OutlineAgreement(NamedTuple):
    """Whether a classifier looked at the outlined lesion.

    hit: the pointing game is won, as the attribution is largest within the outline; energy: share of the positive
    attribution that lies within, in [0, 1]; expected: the outline's share of the area, which is the energy of an
    attribution that looks everywhere alike.
    """

    hit: bool
    energy: float
    expected: float


def outline_agreement(values: np.ndarray, outline: np.ndarray) -> OutlineAgreement:
    """Pointing game (Zhang et al. 2016) and energy-based pointing game (Wang et al. 2020) without any margin.

    Parameters
    ----------
    values : ndarray
        (H, W) attribution; what is negative speaks against the class and takes no part.
    outline : ndarray
        (H, W) bool, True within the lesion.

    Returns
    -------
    OutlineAgreement
        Where several pixels share the largest value, most of them must lie within for a hit. An attribution that is
        nowhere positive points nowhere: no hit, and an energy of 0.

    Raises
    ------
    ValueError
        The shapes differ, or the outline is empty; one sentence.
    """
    if values.ndim != 2 or values.shape != outline.shape:
        raise ValueError(f"Attribution and outline must have one shape (H, W), not {values.shape} and {outline.shape}.")
    outline = outline.astype(bool)
    if not outline.any():
        raise ValueError("The outline is empty, so there is no lesion to look at.")
    positive = np.clip(values, 0, None, dtype=np.float64)
    energy = positive.sum()
    return OutlineAgreement(
        hit=bool(energy > 0 and outline[positive == positive.max()].mean() > 0.5),
        energy=float(positive[outline].sum() / energy) if energy > 0 else 0.0,
        expected=float(outline.mean()),
    )
