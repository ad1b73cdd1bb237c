"""Where a frame lies: in the square that a bundle's models take, and in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

MOST_STRETCH = 20
"""Rows and columns whose distances differ by more than this factor were measured by nobody."""

PLANES = ("axial", "coronal", "sagittal", "oblique")

_ENDS = ("LR", "PA", "SI")

AXES = tuple("".join(ends) for order in permutations(_ENDS) for ends in product(*order))
"""Every way in which slices, rows and columns can run: a letter each, of left, right, posterior, anterior, superior,
inferior (PS3.3 C.7.6.1.1.1)."""

_SQUARE = 0.01  # a pixel whose sides differ by less is square: over 128 pixels that is one
_OBLIQUE = 0.8

Spacing = tuple[float, float, float] | None


@dataclass(frozen=True)
class Geometry:
    """A frame in the square of a bundle: its pixels made square, in the middle, black around it.

    Everything that is drawn, given to a model or mapped back goes by this one record.

    Attributes
    ----------
    height, width : int
        Rows and columns of the frame.
    aspect : float
        Height of a pixel over its width, in [1 / `MOST_STRETCH`, `MOST_STRETCH`].
    """

    height: int
    width: int
    aspect: float = 1.0

    @classmethod
    def of(cls, shape: tuple[int, ...], spacing: Spacing = None) -> Geometry:
        """That of a frame of shape (H, W, …) with `spacing` mm between slices, rows and columns.

        Spacing that is unknown, or can't be right, is taken for that of square pixels.
        """
        height, width = shape[:2]
        if spacing is None or not plausible_plane(*spacing[1:]):
            return cls(height, width)
        aspect = spacing[1] / spacing[2]
        return cls(height, width, 1.0 if abs(aspect - 1) < _SQUARE else aspect)

    @property
    def square(self) -> bool:
        """Whether its pixels are squares, as far as anybody knows."""
        return self.aspect == 1.0

    def placed(self, side: int) -> tuple[slice, slice]:
        """Rows and columns that the frame fills in a square of `side` pixels, at least one of each."""
        height, width = self.height * self.aspect, float(self.width)
        sizes = (max(1, round(side * length / max(height, width))) for length in (height, width))
        rows, columns = (slice((side - size) // 2, (side - size) // 2 + size) for size in sizes)
        return rows, columns

    def pixel(self, side: int, spacing: tuple[float, float, float]) -> float:
        """Millimetres that a pixel of such a square of `side` pixels is wide and high."""
        return max(self.height * self.aspect, self.width) * spacing[2] / side

    def drawn(self, least: int, most: int) -> tuple[int, int]:
        """(width, height) in square pixels on a screen: as in the body, no side below the frame's own.

        The longer side is at least `least` and at most `most`, which goes before.
        """
        width, height = float(self.width), self.height * self.aspect
        if self.aspect < 1:
            width, height = width / self.aspect, float(self.height)
        longest = max(width, height)
        scale = min(max(1.0, least / longest), most / longest)
        return max(1, round(width * scale)), max(1, round(height * scale))


Point = tuple[float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where the slices of a scan lie in the patient, in millimetres along the axes left, posterior and superior.

    Attributes
    ----------
    corners : tuple of Point
        Middle of each slice's first pixel.
    down, across : Point
        From one row to the next, and from one column to the next.
    reference : str or None
        What tells one frame of reference (0020,0052) from another, as a digest; None where the format states none.
    """

    corners: tuple[Point, ...]
    down: Point
    across: Point
    reference: str | None = None


def letters_of(directions: Sequence[np.ndarray]) -> str | None:
    """One of `AXES`: what each of three directions, (3,) in the patient's axes, runs towards most; None if it is none.

    The patient's axes run towards left, posterior and superior (PS3.3 C.7.6.2.1.1).
    """
    axes = [int(np.abs(direction).argmax()) for direction in directions]
    if len(set(axes)) < len(axes):
        return None
    return "".join(_ENDS[axis][int(own[axis] < 0)] for axis, own in zip(axes, directions))


def plausible_plane(rows: float, columns: float) -> bool:
    """Whether the distances between rows and columns are positive, finite and of similar size."""
    low, high = sorted((rows, columns))
    return bool(np.isfinite([low, high]).all()) and low > 0 and high <= MOST_STRETCH * low


def plane_of(normal: np.ndarray) -> str:
    """The plane of a slice with this unit normal, in the patient's axes left, posterior, superior (PS3.3 C.7.6.2.1.1).

    A brain is cut along its own lines, tilted against the patient's by 10° to 25°. ``'oblique'`` is what lies more than
    37° (a cosine of 0.8) from each of the three planes, the limit of PixelMed's ImageOrientation (D. A. Clunie).
    """
    cosines = np.abs(normal)
    axis = int(cosines.argmax())
    return ("sagittal", "coronal", "axial")[axis] if cosines[axis] >= _OBLIQUE else "oblique"
