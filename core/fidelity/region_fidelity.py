"""What purification did in a region of interest, against elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

from core.fidelity.lesion import (
    FAINT,
    LOST,
    RING,
    STRUCTURE_AREA,
    Lesion,
    head,
    invented_regions,
    lesion,
    structure,
    verdict,
)  # fmt: skip
from core.fidelity.metrics import SSIM_WINDOW
from core.fidelity.region import RegionError

LEAST_PIXELS = STRUCTURE_AREA  # a structure that is smaller isn't counted either
LEAST_WITHIN = 0.5  # so much of a region must lie within the body
MOST_OF_BODY = 0.5  # beyond it there is hardly an elsewhere
PLACES = 12
FEWEST_PLACES = 3

Left = tuple[float | None, float | None, float | None]  # shares of contrast, size and edge


class Part(NamedTuple):
    """What purification did in one part of a slice.

    contrast, size, edge: what is left of them, 1 where nothing changed, as `core.fidelity.lesion.Lesion` measures them
    (contrast in parts of `FAINT` where there was less, size in pixels of the segmentation); None where there was
    nothing to begin with. ssim: mean structural similarity, at most 1; moved: mean absolute change, pixel units.
    appeared, vanished: pixels of structures that `core.fidelity.lesion.invented_regions` finds in one image against the
    other, of which that other has less than half.
    """

    contrast: float | None
    size: float | None
    edge: float | None
    ssim: float
    moved: float
    appeared: int
    vanished: int


@dataclass(frozen=True)
class RegionFidelity:
    """What purification did in a region, against elsewhere.

    Attributes
    ----------
    here : Part
        In the region.
    elsewhere : Part
        In the rest of the body. Its contrast, size and edge are medians over the same outline laid at other places, so
        that like is compared with like; None where it fits at fewer than `FEWEST_PLACES`.
    places : int
        How many places that are, at most `PLACES`.
    pixels : int
        How many pixels of the bundle's square the region has.
    faint : bool
        Whether the region stands out of its surroundings by less than `FAINT`: its contrast then says little.
    verdict : str
        One of `core.fidelity.lesion.VERDICTS`: see `region_verdict`.
    """

    here: Part
    elsewhere: Part
    places: int
    pixels: int
    faint: bool
    verdict: str


def region_fidelity(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> RegionFidelity:
    """Measure what purification did in a region and what it did elsewhere.

    Parameters
    ----------
    before : ndarray
        (C, R, R) in [0, 1]: the clean scan where it is known. Where it is an input that may have been attacked, what
        vanished may be the attack, and what appeared is only new with respect to that input.
    after : ndarray
        (C, R, R) in [0, 1]: the estimate. Colour is averaged to grey.
    region : ndarray
        (R, R) bool, as `Region.at` gives it.

    Raises
    ------
    RegionError
        The region is too small, mostly outside the body, or leaves no elsewhere; one sentence.
    ValueError
        The shapes differ; one sentence.
    """
    if before.shape != after.shape or before.ndim != 3 or before.shape[1:] != region.shape:
        raise ValueError(f"Images (C, H, W) and a region (H, W) of one size are needed, not {before.shape}, "
                         f"{after.shape} and {region.shape}.")  # fmt: skip
    inside = head(before.mean(0))
    _check(region, inside)
    try:
        own = lesion(before, after, region)
    except ValueError as error:
        raise RegionError(str(error)) from error
    grown, gone = _only_in_second(before, after), _only_in_second(after, before)
    similar = structural_similarity(before, after, win_size=SSIM_WINDOW, data_range=1, channel_axis=0, full=True)[1]
    maps = similar.mean(0), np.abs(after - before).mean(0), grown, gone
    others = [lesion(before, after, place) for place in _other_places(region, inside)]
    here = _part(_left(own), maps, region)
    return RegionFidelity(
        here=here,
        elsewhere=_part(_medians(others), maps, inside & ~region),
        places=len(others),
        pixels=int(np.count_nonzero(region)),
        faint=own.contrast_before < FAINT,
        verdict=region_verdict(own, here.appeared, here.vanished),
    )


def region_verdict(own: Lesion, appeared: int, vanished: int) -> str:
    """The rule of `core.fidelity.lesion.verdict`, for structures within the region and not for those outside it.

    ``lost`` also where a structure within the region vanished: a region that is drawn widely around a lesion keeps
    much of its contrast without it.
    """
    if vanished:
        return "lost"
    return verdict(own.contrast_change, (own.edge_before, own.edge_after), own.dice, appeared)


def _check(region: np.ndarray, inside: np.ndarray) -> None:
    pixels = np.count_nonzero(region)
    if pixels < LEAST_PIXELS:
        raise RegionError(
            f"The region is too small to be measured: it covers {pixels} of the pixels that the models see, and "
            f"{LEAST_PIXELS} are needed."
        )
    if np.count_nonzero(region & inside) < LEAST_WITHIN * pixels:
        raise RegionError("Most of the region lies outside the body, in the air: choose one on the body.")
    if np.count_nonzero(region & inside) > MOST_OF_BODY * np.count_nonzero(inside):
        raise RegionError("The region covers most of the picture, so there is no elsewhere: choose a smaller one.")


def _only_in_second(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) bool: structures that have grown out of less than half of themselves, not those that grew a little."""
    regions = invented_regions(first, second)
    numbers = np.arange(1, regions.max() + 1)
    was, became = (ndimage.mean(structure(image.mean(0))[1], regions, numbers) for image in (first, second))
    return np.isin(regions, numbers[np.asarray(was) * np.sign(became) < LOST * np.abs(became)])


def _other_places(region: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """The same outline elsewhere: wholly within the body, and no nearer than its ring."""
    rows, columns = np.nonzero(region)
    steps = [max(1, int(np.ptp(line) + 1) // 2) for line in (rows, columns)]
    near = ndimage.binary_dilation(region, iterations=RING)
    allowed, found = inside & ~near, []
    tops, lefts = (
        range(line.min() % step, len(region) - np.ptp(line), step) for line, step in zip((rows, columns), steps)
    )
    for top in tops:
        for left in lefts:
            place = rows - rows.min() + top, columns - columns.min() + left
            if allowed[place].all():
                found.append(place)
    kept = [found[index] for index in np.linspace(0, len(found) - 1, min(PLACES, len(found))).astype(int)]
    return [_mask(region.shape, place) for place in kept] if len(kept) >= FEWEST_PLACES else []


def _mask(shape: tuple[int, ...], place: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[place] = True
    return mask


def _left(own: Lesion) -> Left:
    size = own.size_after / own.size_before if own.size_before else None
    edge = own.edge_after / own.edge_before if own.edge_before > 1e-9 else None
    return 1 + own.contrast_change, size, edge


def _medians(others: list[Lesion]) -> Left:
    contrasts, sizes, edges = zip(*map(_left, others)) if others else ((), (), ())
    return _median(contrasts), _median(sizes), _median(edges)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _part(left: Left, maps: tuple[np.ndarray, ...], where: np.ndarray) -> Part:
    similar, moved, grown, gone = (values[where] for values in maps)
    return Part(*left, float(similar.mean()), float(moved.mean()), int(grown.sum()), int(gone.sum()))
