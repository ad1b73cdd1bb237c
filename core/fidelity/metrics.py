"""How far two images are from each other, and at which spatial frequencies."""

import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage
from skimage.metrics import normalized_mutual_information, peak_signal_noise_ratio, structural_similarity

SSIM_WINDOW = 7
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2; the finest scale first
GMSD_CONSTANT = 170 / 255**2  # Xue et al. 2014: 170 for grey levels up to 255
NMI_BINS = 64


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


@dataclass(frozen=True)
class Fidelity(Distance):
    """What one change left of an image: `Distance`, and three measures of structure.

    Attributes
    ----------
    ms_ssim : float
        Multi-scale structural similarity (Wang et al. 2003, equation 7), at most 1: nothing changed. The paper's
        Gaussian window of 11 pixels does not fit into the fifth scale of a scan of 128 × 128 pixels, which has 8 × 8.
        So the window is the uniform one of 7 pixels that `ssim` has: then all five scales and the paper's weights
        stand. Smaller images have fewer scales, with their weights scaled to a sum of 1.
    nmi : float
        Normalised mutual information (Studholme et al. 1999) of histograms of 64 bins each: from 1, nothing shared,
        to 2, one image follows from the other. It ignores a change of brightness or contrast.
    gmsd : float
        Gradient-magnitude similarity deviation (Xue et al. 2014, equation 6), at least 0: no edge changed.
    """

    ms_ssim: float
    nmi: float
    gmsd: float


def euclidean_length(change: np.ndarray) -> float:
    """ℓ2 norm of all values."""
    # Not by np.linalg.norm: its threads go on spinning for a while, and torch's have to share the cores with them.
    return float(np.sqrt(np.square(change).sum()))


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
    _check_shapes(before, after)
    if min(before.shape[1:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW} × {SSIM_WINDOW} pixels, not {before.shape[1:]}.")
    before, after = before.astype(np.float64), after.astype(np.float64)
    change = after - before
    return Distance(
        ssim=float(structural_similarity(before, after, win_size=SSIM_WINDOW, data_range=1, channel_axis=0)),
        psnr=float(peak_signal_noise_ratio(before, after, data_range=1)) if change.any() else math.inf,
        linf=float(np.abs(change).max()),
        l2=euclidean_length(change),
    )


def fidelity(before: np.ndarray, after: np.ndarray) -> Fidelity:
    """Measure what one image kept of another; parameters and errors as for `distance`.

    Colour is measured a channel at a time, and averaged.
    """
    plain = distance(before, after)
    before, after = before.astype(np.float64), after.astype(np.float64)
    return Fidelity(
        **asdict(plain),
        ms_ssim=_ms_ssim(before, after),
        nmi=float(np.mean([_nmi(*planes) for planes in zip(before, after)])),
        gmsd=float(np.mean([_gmsd(*planes) for planes in zip(_halved(before), _halved(after))])),
    )


def residual_spectrum(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Power of the change at each spatial frequency, averaged over all directions.

    Without a window: a scan's border is black in both images, so the change does not jump there.

    Parameters
    ----------
    before, after : ndarray
        (C, H, W) in [0, 1].

    Returns
    -------
    ndarray
        (min(H, W) // 2 + 1,) float64 in squared pixel units. Entry k is the mean over the Fourier coefficients whose
        frequency is within half a step of k / min(H, W) cycles a pixel. The coefficients are scaled so that the sum of
        their powers is the mean squared change (Parseval's theorem).

    Raises
    ------
    ValueError
        The shapes differ; one sentence.
    """
    _check_shapes(before, after)
    change = after.astype(np.float64) - before.astype(np.float64)
    height, width = change.shape[1:]
    power = (np.abs(np.fft.fft2(change)) ** 2).mean(0) / (height * width) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    side = min(height, width)
    ring = np.rint(frequency * side).astype(int).ravel()
    return (np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1))[: side // 2 + 1]


def _check_shapes(before: np.ndarray, after: np.ndarray) -> None:
    if before.shape != after.shape or before.ndim != 3:
        raise ValueError(f"Two images of one shape (C, H, W) are needed, not {before.shape} and {after.shape}.")


def _ms_ssim(before: np.ndarray, after: np.ndarray) -> float:
    """(C, H, W) → the weighted product over the scales: contrast and structure at each, luminance at the coarsest."""
    terms: list[float] = []
    while len(terms) < len(SCALE_WEIGHTS) and min(before.shape[1:]) >= SSIM_WINDOW:
        similarity, structure = _ssim_terms(before, after)
        terms.append(structure)
        before, after = _halved(before), _halved(after)
    terms[-1] = similarity
    weights = np.array(SCALE_WEIGHTS[: len(terms)])
    # A negative mean, structure turned upside down, has no real power: it counts as nothing kept.
    return float(np.prod(np.maximum(terms, 0) ** (weights / weights.sum())))


def _ssim_terms(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Mean SSIM, and the mean of its contrast and structure alone: SSIM over its luminance term, window by window."""
    _, similarity = structural_similarity(before, after, win_size=SSIM_WINDOW, data_range=1, channel_axis=0, full=True)
    means = [ndimage.uniform_filter(image, (1, SSIM_WINDOW, SSIM_WINDOW)) for image in (before, after)]
    constant = 0.01**2
    luminance = (2 * means[0] * means[1] + constant) / (means[0] ** 2 + means[1] ** 2 + constant)
    edge = SSIM_WINDOW // 2
    inner = (slice(None), slice(edge, -edge), slice(edge, -edge))
    return float(similarity[inner].mean()), float((similarity / luminance)[inner].mean())


def _nmi(before: np.ndarray, after: np.ndarray) -> float:
    if np.array_equal(before, after):
        return 2.0
    if np.ptp(before) == 0 or np.ptp(after) == 0:
        return 1.0  # an image of one value tells nothing of another, and its entropy of 0 can't be divided by
    return float(normalized_mutual_information(before, after, bins=NMI_BINS))


def _gmsd(before: np.ndarray, after: np.ndarray) -> float:
    """(H, W) planes at half resolution → deviation of the similarity of their gradient magnitudes (equations 4, 6)."""
    first, second = (
        np.hypot(ndimage.prewitt(plane, 0, mode="nearest"), ndimage.prewitt(plane, 1, mode="nearest")) / 3
        for plane in (before, after)
    )
    return float(((2 * first * second + GMSD_CONSTANT) / (first**2 + second**2 + GMSD_CONSTANT)).std())


def _halved(image: np.ndarray) -> np.ndarray:
    """(C, H, W) → (C, H // 2, W // 2), means of 2 × 2 pixels; an odd last row or column is left out."""
    channels, height, width = image.shape
    blocks = image[:, : height // 2 * 2, : width // 2 * 2].reshape(channels, height // 2, 2, width // 2, 2)
    return blocks.mean((2, 4))
