"""How much of what an answer rests on lies in a region of interest, against how large the region is."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from core.bundles import Bundle
from core.explanation.attributions import attribution
from core.explanation.outline_agreement import outline_agreement
from core.fidelity.lesion import head

METHOD = "integrated-gradients"  # the cheapest that any network answers, and what docs/results were measured with
SMOOTHED = 1.0  # pixels, standard deviation


class RegionShare(NamedTuple):
    """How far an answer rests on a region.

    inside: share of what speaks for the answer that lies in the region, in [0, 1]; size: the region's share of the
    body, or of the picture, in [0, 1], which is what an answer that rests on everything alike would have inside; of:
    ``body`` or ``picture``; method: one of `core.explanation.attributions.METHODS`.
    """

    inside: float
    size: float
    of: str
    method: str = METHOD


def region_share(pixels: np.ndarray, region: np.ndarray, bundle: Bundle, classifier: str) -> RegionShare | None:
    """Ask a classifier what its own answer to an image rests on, and how much of that lies in a region.

    Parameters
    ----------
    pixels : ndarray
        (C, R, R) in [0, 1].
    region : ndarray
        (R, R) bool, True within.
    bundle : Bundle
        Whose scans are measured against the body, without the air around it; plain pictures are taken whole.
    classifier : str
        One of the bundle's.

    Returns
    -------
    RegionShare or None
        None where the region holds none of the pixels, or nothing speaks for the answer.
    """
    if not region.any():
        return None
    values = attribution(pixels, bundle.classifiers[classifier], METHOD)
    if values.max() <= 0:
        return None
    found = outline_agreement(values, region)
    # What an attack adds to the air around the body doesn't make it body.
    inside = head(ndimage.gaussian_filter(pixels.mean(0), SMOOTHED)) | region
    if bundle.modalities and not inside.all():
        return RegionShare(found.energy, float(region.sum() / inside.sum()), "body")
    return RegionShare(found.energy, found.expected, "picture")
