"""What a file outlines, on the slices of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.scans.geometry import Placement
from core.scans.scan import Scan


@dataclass(frozen=True, eq=False)
class Outline:
    """One of the outlines in a file.

    Attributes
    ----------
    number : int
        Its own in the file: Segment Number (0062,0004), ROI Number (3006,0022), or the value in a mask. The names that
        files give are free text, and not read.
    shape : tuple of int
        H, W of a slice.
    bits : dict of int to ndarray
        Slice of the scan, from 0 → its pixels by rows, eight a byte, uint8: a file may hold a hundred outlines.
    """

    number: int
    shape: tuple[int, int]
    bits: dict[int, np.ndarray]

    @classmethod
    def of(cls, number: int, masks: dict[int, np.ndarray]) -> Outline:
        """The outline of (H, W) bool masks by slice, at least one; slices on which it isn't are left out."""
        held = {frame: np.packbits(masks[frame]) for frame in sorted(masks) if masks[frame].any()}
        return cls(number, next(iter(masks.values())).shape, held)

    @property
    def masks(self) -> dict[int, np.ndarray]:
        """Slice of the scan → (H, W) bool, True within; slices on which it isn't are left out."""
        count = self.shape[0] * self.shape[1]
        return {
            frame: np.unpackbits(own, count=count).astype(bool).reshape(self.shape) for frame, own in self.bits.items()
        }


@dataclass(frozen=True)
class Target:
    """The scan that an outline is for.

    Attributes
    ----------
    shape : tuple of int
        F, H, W.
    placement : Placement or None
        As `Scan.placement`.
    thickness : float
        Millimetres between its slices.
    """

    shape: tuple[int, int, int]
    placement: Placement | None
    thickness: float

    @classmethod
    def of(cls, scan: Scan) -> Target:
        """What is to be known of a scan."""
        frames, height, width = scan.values.shape[:3]
        return cls((frames, height, width), scan.placement, scan.millimetres[0] if scan.millimetres else 1.0)

    @classmethod
    def from_facts(cls, facts: dict[str, Any], placement: Placement | None) -> Target:
        """The target again of which JSON told shape and thickness."""
        frames, height, width = facts["shape"]
        return cls((frames, height, width), placement, facts["thickness"])
