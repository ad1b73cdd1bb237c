"""A scan as a viewer in a browser takes it: every slice at once, as integers, with windows that it can apply itself."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from PIL import Image

from core.scans.geometry import Geometry
from core.scans.memory.scaled import STRAIGHT, Line, Values, lines_of, on_lines, stored_of
from core.scans.scan import Scan
from core.scans.windowing import Window, apply_lut, apply_window, extremes

MOST_BYTES = 64 * 2**20
THUMBNAIL_SIDE = 96
THUMBNAIL_SECONDS = 2.0  # for those of all series together
_LEVELS = 65_535
_TABLE = 1024


@dataclass(frozen=True)
class ViewerVolume:
    """Stored values, and what makes grey levels of them.

    Attributes
    ----------
    data : memoryview
        (F, H, W) or (F, H, W, 3), little-endian, row by row; where it can, it is the scan's own memory.
    digest : str
        Of these bytes.
    dtype : str
        ``'uint8'``, ``'int16'`` or ``'uint16'``.
    shape : tuple of int
        F, H, W.
    channels : int
        1 or 3.
    slope, intercept : float
        Modality units are ``stored * slope + intercept``.
    spacing : tuple of float or None
        As `Scan.spacing`.
    value_range : tuple of float
        Least and largest value, modality units.
    reduction : int
        Every so many rows and columns are in it: 1 where all are.
    """

    data: memoryview
    digest: str
    dtype: str
    shape: tuple[int, int, int]
    channels: int
    slope: float
    intercept: float
    spacing: tuple[float, float, float] | None
    value_range: tuple[float, float]
    reduction: int


def viewer_volume(scan: Scan) -> ViewerVolume:
    """Return all slices of a scan in at most 64 MiB: of larger ones every second row and column, or every third …

    Integers that fit 16 bits stay as they are, also where one line makes fractions of them; other values are rounded to
    65,536 levels over their range.
    """
    reduction = 1
    values, (slope, intercept) = _on_one_line(scan.values)
    while _size(values, reduction) > MOST_BYTES:
        reduction += 1
    values = _thinned(values, reduction)
    ends = extremes(values)
    stored, step, least = _stored(values, *ends)
    spacing = scan.spacing
    if spacing is not None:
        spacing = (spacing[0], spacing[1] * reduction, spacing[2] * reduction)
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    data = stored.reshape(-1).view(np.uint8).data.toreadonly()
    frames, height, width = stored.shape[:3]
    return ViewerVolume(
        data=data,
        digest=sha256(data).hexdigest(),
        dtype=stored.dtype.name,
        shape=(frames, height, width),
        channels=3 if scan.is_colour else 1,
        slope=slope * step,
        intercept=slope * least + intercept,
        spacing=spacing,
        value_range=tuple(sorted(slope * end + intercept for end in ends)),  # type: ignore[arg-type]
        reduction=reduction,
    )


def viewer_window(scan: Scan, window: Window | None, frame: int) -> dict[str, Any]:
    """A window as the viewer takes it, None for what the scan is shown with where nothing was chosen.

    Returns
    -------
    dict
        ``name``; ``low`` and ``high``, the values shown black and white, modality units; ``table``, only where what
        lies between is not a straight line: brightness in [0, 1] at even distances from ``low`` to ``high``.
    """
    if scan.is_colour:
        return {"name": "Colour", "low": 0.0, "high": 1.0}
    if window is None and scan.voi_lut is not None:
        first, count = scan.voi_lut.first, len(scan.voi_lut.entries)
        line = np.linspace(first, first + count - 1, min(count, _TABLE))
        return _bent("VOI LUT of the file", line, apply_lut(np.rint(line), scan.voi_lut))
    if window is None:
        window = scan.frame_windows[frame] if scan.frame_windows else scan.windows[0]
    if window.function == "SIGMOID":
        line = np.linspace(window.center - 2 * window.width, window.center + 2 * window.width, _TABLE)
        return _bent(window.name, line, apply_window(line, window))
    shift, width = (0.5, window.width - 1) if window.function == "LINEAR" else (0.0, window.width)
    low = window.center - shift - width / 2
    return {"name": window.name, "low": low, "high": low + max(width, 1e-6)}


def thumbnail(scan: Scan) -> np.ndarray:
    """Return the middle slice, small and in square pixels: (H, W) or (H, W, 3) uint8, the longer side 96 pixels."""
    frame = scan.frame()
    size = Geometry.of(frame.shape, scan.spacing).drawn(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.asarray(Image.fromarray((255 * frame).astype(np.uint8)).resize(size, Image.Resampling.BOX))


def _bent(name: str, line: np.ndarray, brightness: np.ndarray) -> dict[str, Any]:
    return {"name": name, "low": float(line[0]), "high": float(line[-1]), "table": brightness.round(4).tolist()}


def _on_one_line(values: Values) -> tuple[Values, Line]:
    """What is held of values, and its line, where all frames have the same; else the values."""
    lines = set(lines_of(values))
    return (stored_of(values), lines.pop()) if len(lines) == 1 else (values, STRAIGHT)


def _thinned(values: Values, reduction: int) -> Values:
    return on_lines(stored_of(values)[:, ::reduction, ::reduction], lines_of(values))


def _size(values: Values, reduction: int) -> int:
    frames, height, width = values.shape[:3]
    pixel = 3 * values.dtype.itemsize if values.ndim == 4 else min(2, values.dtype.itemsize)
    return frames * -(-height // reduction) * -(-width // reduction) * pixel


def _stored(values: Values, least: float, most: float) -> tuple[np.ndarray, float, float]:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        if values.dtype.itemsize <= 2:
            return (values.astype(np.int16) if values.dtype == np.int8 else values), 1.0, 0.0
        if most - least <= _LEVELS:
            return (values - np.asarray(least, values.dtype)).astype(np.uint16), 1.0, least
    slope = (most - least) / _LEVELS or 1.0
    stored = np.empty(values.shape, np.uint16)
    for index, frame in enumerate(values):  # a frame at a time: in 64 bits the whole would be large
        stored[index] = np.rint((frame.astype(np.float64) - least) / slope)
    return stored, slope, least
