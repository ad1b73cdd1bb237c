"""Pictures of one slice at a bundle's resolution, as a viewer in a browser takes them to compare pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.explanation.overlays import scan_png
from core.fidelity.region import Region
from core.scans.geometry import Geometry, Spacing, plausible_plane

_LEVELS = 65_535


@dataclass(frozen=True)
class PictureStack:
    """Pictures in one grid of square pixels, without the black that made a square of them.

    Attributes
    ----------
    levels : ndarray
        (N, H, W) or (N, H, W, 3), little-endian uint16: 65,535 times the pixels.
    millimetre : float or None
        Width and height of a pixel; None where nobody knows.
    """

    levels: np.ndarray
    millimetre: float | None

    def still(self) -> bytes:
        """All of them side by side, as PNG."""
        return scan_png(np.concatenate(list(self.levels), axis=1) / _LEVELS)


def stack_pictures(pictures: Sequence[np.ndarray], shape: tuple[int, ...], spacing: Spacing = None) -> PictureStack:
    """Return them for the screen.

    Parameters
    ----------
    pictures : sequence of ndarray
        (C, R, R) in [0, 1], C being 1 or 3.
    shape, spacing
        (H, W, …) of the frame that they were made from, and millimetres between its slices, rows and columns.
    """
    pixels, geometry = np.stack(pictures), Geometry.of(shape, spacing)
    resolution = pixels.shape[-1]
    rows, columns = geometry.placed(resolution)
    held = np.moveaxis(pixels[..., rows, columns], 1, -1)
    levels = np.rint(_LEVELS * held.clip(0, 1)).astype("<u2")
    measured = spacing is not None and plausible_plane(*spacing[1:])
    millimetre = geometry.pixel(resolution, spacing) if spacing and measured else None
    return PictureStack(levels[..., 0] if levels.shape[-1] == 1 else levels, millimetre)


def borders_in_stack(mask: np.ndarray, shape: tuple[int, ...], spacing: Spacing = None) -> list[np.ndarray]:
    """The borders of a region of interest on such pictures, as `Region.borders`; none where there is none.

    mask: (R, R) bool, as `Region.at` gives it; shape, spacing: as the pictures were stacked with.
    """
    rows, columns = Geometry.of(shape, spacing).placed(len(mask))
    held = np.ascontiguousarray(mask[rows, columns])
    return Region(held, 0, "file").borders if held.any() else []
