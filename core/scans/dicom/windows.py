"""The windows and the VOI LUT that a file brings, and those to choose from when its scan is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.attributes import finite_numbers, group_item
from core.scans.dicom.luts import usable_lut
from core.scans.dicom.tags import coded, identifying_words, mentions
from core.scans.memory.scaled import Values
from core.scans.text import one_line
from core.scans.windowing import CT_PRESETS, FUNCTIONS, Lut, Window, apply_window, extremes, full_window, robust_window

_LEAST_CONTRAST = 1 / 256
"""What makes no step on a screen is no picture."""

_LEAST_OF_RANGE = 1 / 8
"""Entries that stay below this part of the range that their table states are of fewer bits than it says."""


@dataclass(frozen=True, eq=False)
class FileWindows:
    """How a file wants to be shown (PS3.3 C.11.2).

    Attributes
    ----------
    windows : list of Window
        Alternatives, each for all frames.
    frame_windows : list of Window or None
        Default window of each frame, where functional groups give one.
    lut : Lut or None
        VOI LUT, which goes before the windows.
    """

    windows: list[Window]
    frame_windows: list[Window] | None = None
    lut: Lut | None = None

    @property
    def empty(self) -> bool:
        """Whether the file says nothing."""
        return not self.windows and self.lut is None


def file_windows(ds: Dataset, frames: list[int], name: str, notes: list[str]) -> FileWindows:
    """Read what a file brings for some of its frames; what the standard doesn't allow is left out with a note."""
    lut = usable_lut(ds, "VOILUTSequence", name, notes)
    private = identifying_words(ds)
    groups = [group_item(ds, index, "FrameVOILUTSequence") for index in frames]
    if all(group is None for group in groups):
        return FileWindows(_usable(_windows(ds, private), notes), None, lut)
    firsts = [next(iter(_windows(group, private)), None) for group in groups]
    good = [window for window in firsts if window is not None and window.usable]
    if len(good) < len(firsts):
        notes.append("Some frames bring no usable window.")
    each = good if len(good) == len(firsts) and len(set(good)) > 1 else None
    return FileWindows(good[len(good) // 2 :][:1], each, lut)


def with_contrast(given: FileWindows, values: Values, valid: np.ndarray | None, notes: list[str]) -> FileWindows:
    """Leave out, with a note, what would show the values of a scan black, white or all the same grey."""
    ends = np.array(extremes(values, valid))
    if ends[0] == ends[1]:
        return given
    lut = given.lut if given.lut is None or _lut_shows(given.lut, ends) else None
    if lut is not given.lut:
        notes.append("The lookup table of the file (VOI LUT) shows nothing of its values and was ignored.")
    windows = [window for window in given.windows if _shows(window, ends)]
    if len(windows) < len(given.windows):
        notes.append("A window of the file shows nothing of its values and was ignored.")
    each = given.frame_windows
    if each and not all(_shows(window, ends) for window in each):
        robust = robust_window(values, valid)
        each = [window if _shows(window, ends) else robust for window in each]
    return FileWindows(windows, each, lut)


def _shows(window: Window, ends: np.ndarray) -> bool:
    return float(np.ptp(apply_window(ends, window))) >= _LEAST_CONTRAST


def _lut_shows(lut: Lut, ends: np.ndarray) -> bool:
    low, high = np.clip(np.rint(ends).astype(np.int64) - lut.first, 0, len(lut.entries) - 1)
    reached = lut.entries[low : high + 1]
    top = 2.0**lut.bits - 1.0
    return np.ptp(reached) >= _LEAST_CONTRAST * top and int(lut.entries.max()) >= _LEAST_OF_RANGE * top


def presets(
    given: FileWindows, identity: Window | None, ds: Dataset, values: Values, valid: np.ndarray | None
) -> tuple[Window, ...]:
    """Return the windows to choose from, the default first.

    Parameters
    ----------
    given : FileWindows
        What the file brings, as far as it shows something.
    identity : Window or None
        Window of the whole stored range, where it is the natural default.
    ds : pydicom.dataset.Dataset
        The file.
    values : Values
        (F, H, W) modality units.
    valid : numpy.ndarray or None
        (F, H, W) False on padding.
    """
    robust, full = robust_window(values, valid), full_window(values, valid)
    if given.windows:
        found = [*given.windows, full, robust]
    elif identity is not None:
        found = [replace(identity, name="Stored range"), full, robust]
    else:
        found = [robust, full]
    return tuple(found + list(CT_PRESETS)) if coded(ds, "Modality") == "CT" else tuple(found)


def _usable(windows: list[Window], notes: list[str]) -> list[Window]:
    good = [window for window in windows if window.usable]
    if len(good) < len(windows):
        notes.append("A window of the file is not allowed by the standard and was left out.")
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
