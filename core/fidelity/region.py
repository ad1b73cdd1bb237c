"""A region of interest on one slice of a scan: what a reader wants to know about.

Coordinates are those of a slice's pixels at its own resolution, as (row, column): pixel (r, c) is what lies between r
and r + 1, c and c + 1, so that (0, 0) is the corner of the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from skimage import draw, measure

from core.scans.geometry import Spacing
from core.scans.preparation import prepare, to_native

SOURCES = ("ellipse", "polygon", "file", "attribution")

RESTS_ON = 0.5  # of an attribution's largest value: what reaches it is the model's own region
_SMOOTH = 0.5  # pixels that a drawn border may lie beside the mask's

Point = tuple[float, float]


class RegionError(ValueError):
    """A region in which nothing can be measured; its text is one sentence for the person who chose it."""


@dataclass(frozen=True, eq=False)
class Region:
    """A region of interest.

    Attributes
    ----------
    mask : ndarray
        (H, W) bool at the scan's own resolution, read-only, True within.
    frame : int
        Which slice of the scan it lies on, from 0.
    source : str
        One of `SOURCES`: where it came from.
    """

    mask: np.ndarray
    frame: int
    source: str

    def __post_init__(self) -> None:
        if not self.mask.any():
            raise RegionError("The region holds no pixel of the slice: draw it larger, on the picture.")
        self.mask.flags.writeable = False

    def at(self, resolution: int, spacing: Spacing = None) -> np.ndarray:
        """(R, R) bool in the square of a bundle: made square, padded and resampled by `prepare`, as the pixels are."""
        return prepare(self.mask.astype(np.float32), resolution, 1, spacing)[0, 0].numpy() >= 0.5

    def area(self, spacing: Spacing) -> float | None:
        """mm², by the distances between slices, rows and columns; None where these are unknown."""
        return None if spacing is None else float(self.mask.sum()) * spacing[1] * spacing[2]

    @cached_property
    def borders(self) -> list[np.ndarray]:
        """The borders of all its pieces and holes, closed, each (N, 2): to be drawn, no more than half a pixel off."""
        rows, columns = (np.flatnonzero(self.mask.any(axis)) for axis in (1, 0))
        held = self.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        lines = measure.find_contours(np.pad(held, 1).astype(np.float32), 0.5)
        corner = np.array([rows[0], columns[0]]) - 0.5
        return [measure.approximate_polygon(line + corner, _SMOOTH / 2) for line in lines]


def ellipse(shape: tuple[int, ...], frame: int, centre: Point, radii: Point) -> Region:
    """The pixels of a slice of shape (H, W, …) whose middles lie in an ellipse along its rows and columns.

    Raises
    ------
    RegionError
        There are none; one sentence.
    """
    mask = np.zeros(shape[:2], bool)
    mask[draw.ellipse(centre[0] - 0.5, centre[1] - 0.5, *radii, shape=shape[:2])] = True
    return Region(mask, frame, "ellipse")


def polygon(shape: tuple[int, ...], frame: int, corners: Sequence[Point]) -> Region:
    """The pixels of a slice of shape (H, W, …) whose middles lie in a polygon, by the even-odd rule.

    Raises
    ------
    RegionError
        There are none, or fewer than three corners; one sentence.
    """
    if len(corners) < 3:
        raise RegionError("A polygon needs at least three corners: set more before you close it.")
    return Region(draw.polygon2mask(shape[:2], np.asarray(corners) - 0.5), frame, "polygon")


def attributed(values: np.ndarray, shape: tuple[int, ...], frame: int, spacing: Spacing = None) -> Region:
    """Where an attribution reaches half of its largest value.

    Parameters
    ----------
    values : ndarray
        (rows, columns) of a square at the bundle's resolution or coarser, as `core.explanation.attributions` gives it;
        what is negative speaks against the answer and takes no part.
    shape, frame, spacing
        (H, W, …) of the slice that was asked about, which it is, and millimetres between slices, rows and columns.

    Raises
    ------
    RegionError
        The attribution is nowhere positive; one sentence.
    """
    native = to_native(values, shape, spacing)
    if native.max() <= 0:
        raise RegionError("The answer rests on no part of this slice more than on others, so there is no region of it.")
    return Region(native >= RESTS_ON * native.max(), frame, "attribution")
