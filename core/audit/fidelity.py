"""How far two images are from each other."""

import math
from dataclasses import dataclass

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

SSIM_WINDOW = 7


@dataclass(frozen=True)
class Distance:
    """Four measures of one change.

    Attributes
    ----------
    ssim : float
        Mean structural similarity (Wang et al. 2004) over windows of 7 × 7 pixels, at most 1: nothing changed.
    psnr : float
        Peak signal-to-noise ratio in dB, for a peak of 1; infinite where nothing changed.
    linf : float
        The largest change of any value, pixel units.
    l2 : float
        Euclidean length of the change over all values, pixel units.
    """

    ssim: float
    psnr: float
    linf: float
    l2: float


def distance(before: np.ndarray, after: np.ndarray) -> Distance:
    """Measure the change from one image to another.

    Parameters
    ----------
    before, after : ndarray
        (C, H, W) in [0, 1], at least 7 × 7 pixels.

    Raises
    ------
    ValueError
        The shapes differ, or an image is too small; one sentence.
    """
    if before.shape != after.shape or before.ndim != 3:
        raise ValueError(f"Two images of one shape (C, H, W) are needed, not {before.shape} and {after.shape}.")
    if min(before.shape[1:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW} × {SSIM_WINDOW} pixels, not {before.shape[1:]}.")
    before, after = before.astype(np.float64), after.astype(np.float64)
    change = after - before
    return Distance(
        ssim=float(structural_similarity(before, after, win_size=SSIM_WINDOW, data_range=1, channel_axis=0)),
        psnr=float(peak_signal_noise_ratio(before, after, data_range=1)) if change.any() else math.inf,
        linf=float(np.abs(change).max()),
        l2=float(np.linalg.norm(change)),
    )
