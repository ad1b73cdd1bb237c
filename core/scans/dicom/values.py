"""Stored values → modality units, and the windows a data set brings: one `Part` for each file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.luts import read_lut
from core.scans.dicom.pixels import stored_pixels
from core.scans.dicom.tags import identifying_words, mentions
from core.scans.text import one_line
from core.scans.windowing import FUNCTIONS, Lut, Window, identity_window, look_up

_INTEGERS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64)


@dataclass
class Part:
    """What one DICOM file contributes to a scan.

    Attributes
    ----------
    ds : pydicom.dataset.Dataset
        The file.
    values : numpy.ndarray
        (F, H, W) modality units, or (F, H, W, 3) colour.
    valid : numpy.ndarray or None
        (F, H, W) False on padding (PS3.3 C.7.5.1.1.2); None where there is none.
    windows : list of Window
        Alternative windows of the file, each for all frames.
    frame_windows : list of Window or None
        Default window of each frame, where functional groups give one.
    identity : Window or None
        Window of the whole stored range, where it is the natural default (8 bits or fewer, not rescaled).
    positions : list of float or None
        Millimetres of each frame along the normal.
    normal : numpy.ndarray or None
        (3,) unit normal of the first frame.
    """

    ds: Dataset
    values: np.ndarray
    valid: np.ndarray | None = None
    windows: list[Window] = field(default_factory=list)
    frame_windows: list[Window] | None = None
    voi_lut: Lut | None = None
    identity: Window | None = None
    positions: list[float] | None = None
    normal: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def inverted(self) -> bool:
        """True for MONOCHROME1."""
        return self.values.ndim == 3 and self.ds.get("PhotometricInterpretation") == "MONOCHROME1"


def read_part(ds: Dataset, name: str) -> Part:
    """Decode a data set and bring it to modality units.

    Raises
    ------
    ScanError
        Where the pixels or the tables of the file cannot be used.
    """
    stored = stored_pixels(ds, name)
    if stored.ndim == 4:
        return Part(ds, stored)
    part = Part(ds, stored, _valid(ds, stored))
    transformed = _to_modality(part, name)
    if not transformed and int(ds.get("BitsStored") or 16) <= 8:
        part.identity = identity_window(int(ds.BitsStored), stored.dtype.kind == "i")
    if ds.get("HighBit") not in (None, "") and ds.get("BitsStored") and int(ds.HighBit) + 1 != int(ds.BitsStored):
        part.notes.append("The file places its bits unusually (High Bit), so grey values may be off.")
    _read_windows(part, name)
    return part


def group_item(ds: Dataset, index: int, keyword: str) -> Dataset | None:
    """Return the functional group `keyword` of frame `index`, its own or the shared one (PS3.3 C.7.6.16)."""
    own = ds.get("PerFrameFunctionalGroupsSequence")
    shared = ds.get("SharedFunctionalGroupsSequence")
    for groups in (own[index] if own and index < len(own) else None, shared[0] if shared else None):
        items = groups.get(keyword) if groups is not None else None
        if items:
            return items[0]
    return None


def finite_number(ds: Dataset | None, keyword: str) -> float | None:
    """Return a numeric attribute, or None where it is absent, empty, damaged or not finite."""
    numbers = finite_numbers(ds, keyword)
    return numbers[0] if numbers else None


def finite_numbers(ds: Dataset | None, keyword: str) -> list[float]:
    """Return the values of a numeric attribute; empty where any of them is damaged or not finite."""
    value = ds.get(keyword) if ds is not None else None
    if value is None or value == "":
        return []
    try:
        numbers = [float(value)] if isinstance(value, (str, int, float)) else [float(part) for part in value]
    except (TypeError, ValueError):
        return []
    return numbers if np.isfinite(numbers).all() else []


def _valid(ds: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Mark what is no padding; the range includes both of its ends (PS3.3 C.7.5.1.1.2)."""
    value = finite_number(ds, "PixelPaddingValue")
    if value is None:
        return None
    limit = finite_number(ds, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    valid = (stored < low) | (stored > high)
    return None if valid.all() else valid


def _to_modality(part: Part, name: str) -> bool:
    """Apply the modality LUT or rescale (PS3.3 C.11.1); tell whether that changed the values."""
    ds = part.ds
    if part.values.dtype.kind == "f":
        part.values = _finite(part)
    if ds.get("ModalityLUTSequence"):
        part.values = look_up(part.values, read_lut(ds, ds.ModalityLUTSequence[0], name))
        return True
    lines = [_rescale(ds, index) for index in range(part.values.shape[0])]
    if any(slope == 0 for slope, _ in lines):
        part.notes.append("The rescale slope of the file is 0, which is not allowed, and was ignored.")
        lines = [(slope or 1.0, intercept) for slope, intercept in lines]
    if len(set(lines)) == 1:
        part.values = rescaled(part.values, *lines[0])
    else:
        frames = [rescaled(frame, *line) for frame, line in zip(part.values, lines, strict=True)]
        part.values = joined(frames, np.stack)
    return set(lines) != {(1.0, 0.0)}


def _finite(part: Part) -> np.ndarray:
    if not np.isfinite(part.values).all():
        part.notes.append("Values that are no numbers were replaced by 0.")
    return finite_float32(part.values)


def finite_float32(values: np.ndarray) -> np.ndarray:
    """Return `values` (any shape) as float32, 0 where they are not finite or too large for it."""
    most = np.finfo(np.float32).max / 4
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(values) <= most, values, 0).astype(np.float32)


def _rescale(ds: Dataset, index: int) -> tuple[float, float]:
    """Return slope and intercept of a frame; dose grids have a slope only (PS3.3 C.8.8.3)."""
    source = group_item(ds, index, "PixelValueTransformationSequence") or ds
    slope = finite_number(source, "RescaleSlope")
    if slope is None:
        slope = finite_number(ds, "DoseGridScaling")
    intercept = finite_number(source, "RescaleIntercept")
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def rescaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return ``slope * stored + intercept`` (PS3.3 C.11.1.1.2) in the smallest type that holds it.

    Parameters
    ----------
    stored : numpy.ndarray
        Any shape.
    slope, intercept : float
        Modality units per stored value, and modality units at 0.

    Returns
    -------
    numpy.ndarray
        Integers where both numbers are whole and `stored` is, else float32.
    """
    if (slope, intercept) == (1.0, 0.0):
        return stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [int(end) * int(slope) + int(intercept) for end in (stored.min(), stored.max())]
        for kind in _INTEGERS:
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(kind)
    with np.errstate(over="ignore", invalid="ignore"):
        return finite_float32(stored.astype(np.float64) * slope + intercept)


def joined(arrays: list[np.ndarray], join: Callable[[list[np.ndarray]], np.ndarray]) -> np.ndarray:
    """Join arrays of several types, by `np.stack` or `np.concatenate`, into one that is no wider than float32 needs."""
    kind = np.result_type(*arrays)
    if kind.kind == "f" and kind.itemsize > 4:
        kind = np.dtype(np.float32)
    return join([array.astype(kind, copy=False) for array in arrays])


def _read_windows(part: Part, name: str) -> None:
    ds = part.ds
    private = identifying_words(ds)
    groups = [group_item(ds, index, "FrameVOILUTSequence") for index in range(part.values.shape[0])]
    if any(group is not None for group in groups):
        _frame_windows(part, groups, private)
    else:
        part.windows = _usable(part, _windows(ds, private))
    if ds.get("VOILUTSequence"):
        part.voi_lut = read_lut(ds, ds.VOILUTSequence[0], name)


def _frame_windows(part: Part, groups: list[Dataset | None], private: frozenset[str]) -> None:
    firsts = [next(iter(_windows(group, private)), None) for group in groups]
    good = [window for window in firsts if window is not None and window.usable]
    if len(good) < len(firsts):
        part.notes.append("Some frames bring no usable window.")
    if not good:
        return
    part.windows = [good[len(good) // 2]]
    if len(good) == len(firsts) and len(set(good)) > 1:
        part.frame_windows = good


def _usable(part: Part, windows: list[Window]) -> list[Window]:
    good = [window for window in windows if window.usable]
    if len(good) < len(windows):
        part.notes.append("A window of the file is not allowed by the standard and was left out.")
    return good


def _windows(ds: Dataset | None, private: frozenset[str]) -> list[Window]:
    """Return the windows of a data set or functional group, with their explanations as names (PS3.3 C.11.2.1.2)."""
    centers, widths = finite_numbers(ds, "WindowCenter"), finite_numbers(ds, "WindowWidth")
    if ds is None or not centers or not widths:
        return []
    function = str(ds.get("VOILUTFunction") or "LINEAR").strip().upper()
    function = function if function in FUNCTIONS else "LINEAR"
    names = _explanations(ds, min(len(centers), len(widths)), private)
    return [Window(center, width, name, function) for center, width, name in zip(centers, widths, names, strict=False)]


def _explanations(ds: Dataset, count: int, private: frozenset[str]) -> list[str]:
    value = ds.get("WindowCenterWidthExplanation") or []
    given = ["" if mentions(str(text), private) else text for text in ([value] if isinstance(value, str) else value)]
    plain = ["File window"] if count == 1 else [f"File window {index + 1}" for index in range(count)]
    return [
        one_line(given[index], 30) or plain[index] if index < len(given) else plain[index] for index in range(count)
    ]
