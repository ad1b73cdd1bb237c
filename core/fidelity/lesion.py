"""What a purifier did to an outlined lesion, measured against the clean scan.

The side of a pixel, brighter or darker than what surrounds the lesion, is read from the smoothed clean scan, and both
images are measured along it. So a bright rim and a dark core don't cancel, and noise, which takes no side, averages
out: a purifier that only removes noise changes neither contrast nor edge sharpness. Where a lesion lies wholly on one
side, the contrast is the usual difference of two means.

All lengths are in pixels of a scan of 128 × 128, where a head is about 100 pixels wide.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

VERDICTS = ("preserved", "blurred", "invented", "lost")

RING = 6  # width of the surroundings that a lesion is compared with
AIR = 0.06  # the background of a scan is darker than this, and black bone within the head is filled
SIDE_SIGMA = 1.0  # smoothing before the side of a pixel is read
BAND = 1.0  # the border's gradient is averaged this far to both sides of it

KEPT = 0.10  # the most that contrast may change by
FAINT = 0.03  # below this contrast there is no meaningful ratio: a change is then measured in parts of FAINT
LOST = 0.50  # a lesion that kept less of its contrast than this is lost
SHARP = 0.75  # of the edge sharpness must stay; a Gaussian blur of one pixel mostly takes more
OVERLAP = 0.80  # Dice coefficient that the segmentation must keep

STRUCTURE_SIGMA = 2.0  # structure is what lies between this smoothing and three times as much
STRUCTURE = 0.06  # the least growth of structure that counts, pixel units
STRUCTURE_AREA = 12  # pixels that must have grown so much, side by side
MARGIN = 2  # what appears this close to an outline belongs to the lesion's own border


@dataclass(frozen=True)
class Lesion:
    """An outlined lesion in the clean scan (before) and in its estimate (after).

    Attributes
    ----------
    contrast_before, contrast_after : float
        How far the lesion stands out of its surroundings, pixel units: mean over its pixels of the distance to the
        ring's mean, counted towards the side that the pixel has in the clean scan. The ring is six pixels wide, around
        the outline, within the head. A lesion all brighter, or all darker, has |mean inside − mean of the ring|.
    difference_before, difference_after : float
        Mean inside − mean of the ring, signed: what contrast is in its plainest form. A lesion with a bright rim and
        a dark core can have none, so no verdict rests on it.
    cnr_before, cnr_after : float
        Contrast-to-noise ratio: contrast over the standard deviation of the ring in the same image (Welvaert and
        Rosseel 2013); infinite where the ring is flat. It grows as noise is removed.
    edge_before, edge_after : float
        Edge sharpness, pixel units a pixel: mean gradient along the normal of the outline, within one pixel of it,
        counted towards the side it has in the clean scan (after the acutance of Rangayyan et al. 1997).
    size_before, size_after : int
        Pixels of a fixed segmentation before and after: those further from the clean ring's mean than half of the
        clean contrast, towards their side, joined to the outline, within it and the ring.
    dice : float
        Dice coefficient of these two segmentations, in [0, 1].
    invented_pixels : int
        How many pixels outside the outline show a structure that the clean scan has not; see `invented_regions`.
    verdict : str
        One of `VERDICTS`; see `verdict`.
    """

    contrast_before: float
    contrast_after: float
    difference_before: float
    difference_after: float
    cnr_before: float
    cnr_after: float
    edge_before: float
    edge_after: float
    size_before: int
    size_after: int
    dice: float
    invented_pixels: int
    verdict: str

    @property
    def contrast_change(self) -> float:
        """Relative change of the contrast: −0.1 where a tenth was lost; in parts of `FAINT` for a fainter lesion."""
        return contrast_change(self.contrast_before, self.contrast_after)

    @property
    def contrast_kept(self) -> bool:
        """Whether the contrast stayed within 10 %."""
        return abs(self.contrast_change) <= KEPT


class _Place(NamedTuple):
    """Where a lesion is measured: outline, ring and reach, their union, (H, W) bool; side (H, W) of −1 and 1."""

    outline: np.ndarray
    ring: np.ndarray
    reach: np.ndarray
    side: np.ndarray


def lesion(before: np.ndarray, after: np.ndarray, outline: np.ndarray) -> Lesion:
    """Measure an outlined lesion before and after purification.

    Parameters
    ----------
    before : ndarray
        (C, H, W) in [0, 1]: the clean scan that the outline was drawn on. An attacked scan is no reference: without
        the clean one, only the distance to the input can be stated (`core.fidelity.metrics`).
    after : ndarray
        (C, H, W) in [0, 1]: the estimate. Colour is averaged to grey.
    outline : ndarray
        (H, W) bool, True within the lesion.

    Raises
    ------
    ValueError
        The shapes differ, the outline is empty, or nothing of the body surrounds it; one sentence.
    """
    if before.shape != after.shape or before.ndim != 3 or before.shape[1:] != outline.shape:
        raise ValueError(
            f"Two images of one shape (C, H, W) and an outline (H, W) are needed, not {before.shape}, {after.shape} "
            f"and {outline.shape}."
        )
    before, after = before.mean(0, dtype=np.float64), after.mean(0, dtype=np.float64)
    place = _find(before, outline.astype(bool))
    contrasts = [_contrast(image, place) for image in (before, after)]
    edges = _edge_sharpness(before, after, place.outline)
    segments = [_segment(image, before, contrasts[0], place) for image in (before, after)]
    dice = _dice(*segments)
    near = ndimage.binary_dilation(place.outline, iterations=MARGIN)
    invented = int(np.count_nonzero(_grown_regions(before, after, ~near)))
    return Lesion(
        contrast_before=contrasts[0],
        contrast_after=contrasts[1],
        difference_before=_difference(before, place),
        difference_after=_difference(after, place),
        cnr_before=_over_deviation(contrasts[0], before[place.ring]),
        cnr_after=_over_deviation(contrasts[1], after[place.ring]),
        edge_before=edges[0],
        edge_after=edges[1],
        size_before=int(np.count_nonzero(segments[0])),
        size_after=int(np.count_nonzero(segments[1])),
        dice=dice,
        invented_pixels=invented,
        verdict=verdict(contrast_change(*contrasts), edges, dice, invented),
    )


def verdict(contrast_change: float, edges: tuple[float, float], dice: float, invented_pixels: int) -> str:
    """The rule behind the word, first match first.

    - ``lost``: more than half of the contrast is gone.
    - ``invented``: the contrast grew by more than 10 %, or a structure appeared outside the outline.
    - ``blurred``: the contrast fell by more than 10 %, or more than a quarter of the edge sharpness is gone, or the
      segmentation keeps a Dice coefficient below 0.8.
    - ``preserved``: none of these.

    Parameters
    ----------
    contrast_change : float
        As `Lesion.contrast_change`.
    edges : tuple of float
        Edge sharpness before and after.
    """
    if contrast_change < -LOST:
        return "lost"
    if contrast_change > KEPT or invented_pixels:
        return "invented"
    if contrast_change < -KEPT or edges[1] < SHARP * edges[0] or dice < OVERLAP:
        return "blurred"
    return "preserved"


def contrast_change(before: float, after: float) -> float:
    """(after − before) / before; over `FAINT` where the contrast before is less, as it has no meaningful ratio."""
    return (after - before) / max(before, FAINT)


def invented_regions(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Find structures that the second image has and the first has not.

    Structure is the image smoothed by two pixels less the image smoothed by six. It must have grown by 0.06, away
    from zero, over at least 12 connected pixels within the head, and the smoothed image itself must have moved as much
    the same way. Whatever is smaller, fainter, or faded away isn't found. Where a thin band such as the scalp was
    erased, what shows in its place counts as new.

    Parameters
    ----------
    before, after : ndarray
        (C, H, W) in [0, 1]. Where `before` is the clean scan, the regions were invented. Where it is an input that may
        be attacked, they are only new with respect to that input.

    Returns
    -------
    ndarray
        (H, W) int32: 0 for none, else the number of the region, from 1.

    Raises
    ------
    ValueError
        The shapes differ; one sentence.
    """
    if before.shape != after.shape or before.ndim != 3:
        raise ValueError(f"Two images of one shape (C, H, W) are needed, not {before.shape} and {after.shape}.")
    return _grown_regions(before.mean(0, dtype=np.float64), after.mean(0, dtype=np.float64))


def _find(before: np.ndarray, outline: np.ndarray) -> _Place:
    """Where to measure, read from the (H, W) clean scan alone, so that both images are measured alike."""
    if not outline.any():
        raise ValueError("The outline is empty, so there is no lesion to measure.")
    ring = ndimage.binary_dilation(outline, iterations=RING) & ~outline & head(before)
    if not ring.any():
        raise ValueError("Nothing of the body surrounds the outline, so the lesion's contrast can't be measured.")
    level = before[ring].mean()
    majority = 1 if before[outline].mean() >= level else -1
    # Smoothed over the lesion's own pixels alone, so that air or bone beyond its border takes no part.
    excess = ndimage.gaussian_filter(np.where(outline, before - level, 0.0), SIDE_SIGMA)
    return _Place(outline, ring, outline | ring, np.where(outline, np.where(excess >= 0, 1, -1), majority))


def head(image: np.ndarray) -> np.ndarray:
    """(H, W) grey in [0, 1] → (H, W) bool: all but the air around the head."""
    return ndimage.binary_fill_holes(image > AIR)


def _contrast(image: np.ndarray, place: _Place) -> float:
    return float((place.side * (image - image[place.ring].mean()))[place.outline].mean())


def _difference(image: np.ndarray, place: _Place) -> float:
    return float(image[place.outline].mean() - image[place.ring].mean())


def _over_deviation(contrast: float, ring: np.ndarray) -> float:
    deviation = float(ring.std())
    return contrast / deviation if deviation > 1e-9 else math.inf


def _edge_sharpness(before: np.ndarray, after: np.ndarray, outline: np.ndarray) -> tuple[float, float]:
    """Mean gradient of each (H, W) image along the outline's normal, towards the side of the smoothed clean scan."""
    outside, inside = (ndimage.distance_transform_edt(part) for part in (~outline, outline))
    distance = outside - inside  # −1 and 1 at the two pixels that the border runs between
    normal = np.array(np.gradient(ndimage.gaussian_filter(distance, SIDE_SIGMA)))
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-9)
    band = np.abs(distance) <= BAND
    smooth, sharp_before, sharp_after = (
        (normal * np.gradient(image)).sum(0)[band]
        for image in (ndimage.gaussian_filter(before, SIDE_SIGMA), before, after)
    )
    side = np.sign(smooth)
    return float((side * sharp_before).mean()), float((side * sharp_after).mean())


def _segment(image: np.ndarray, before: np.ndarray, contrast: float, place: _Place) -> np.ndarray:
    """(H, W) bool: the pixels beyond the fixed threshold, in pieces that reach into the outline."""
    level = before[place.ring].mean()
    beyond = (place.side * (image - level) > contrast / 2) & place.reach
    pieces, _ = ndimage.label(beyond)
    return beyond & np.isin(pieces, pieces[place.outline])


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice 1945: twice the common pixels over the pixels of both; 1 where there are none."""
    pixels = np.count_nonzero(first) + np.count_nonzero(second)
    return float(2 * np.count_nonzero(first & second) / pixels) if pixels else 1.0


def _grown_regions(before: np.ndarray, after: np.ndarray, where: np.ndarray | bool = True) -> np.ndarray:
    """(H, W) images → (H, W) int32 numbers of the regions in which structure grew."""
    (smooth, own), (smooth_after, own_after) = structure(before), structure(after)
    # The pixel itself must have moved too: beside something that faded away, the structure alone would grow.
    moved = np.minimum.reduce(np.sign(own_after) * [own_after - own, smooth_after - smooth])
    grown = (np.minimum(moved, np.abs(own_after)) > STRUCTURE) & head(after)
    regions, count = ndimage.label(grown & where)
    large = np.flatnonzero(np.bincount(regions.ravel(), minlength=count + 1)[1:] >= STRUCTURE_AREA) + 1
    numbers = np.zeros(count + 1, dtype=np.int32)
    numbers[large] = np.arange(1, len(large) + 1)
    return numbers[regions]


def structure(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) grey, smoothed by two pixels, and what that has more or less of than the same smoothed by six."""
    smooth = ndimage.gaussian_filter(image, STRUCTURE_SIGMA)
    return smooth, smooth - ndimage.gaussian_filter(image, 3 * STRUCTURE_SIGMA)
