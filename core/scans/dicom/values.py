"""Stored values → modality units, and the windows a data set brings: one `Part` for each file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.attributes import finite_number, group_item
from core.scans.dicom.frames import Frame
from core.scans.dicom.luts import usable_lut
from core.scans.dicom.mosaic import is_mosaic, mosaic_of
from core.scans.dicom.pixels import read_stored, stored_pixels
from core.scans.dicom.reading import pixels_at_hand
from core.scans.dicom.windows import FileWindows, file_windows
from core.scans.memory.scaled import STRAIGHT, Line, Values, on_lines, stays_stored
from core.scans.memory.volume import Volume
from core.scans.windowing import Window, identity_window, look_up

NO_NUMBERS = "Values that are no numbers were replaced by 0."
_INTEGERS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64)


Take = Callable[[int, np.ndarray, Line, np.ndarray | None], None]
"""Takes the number of a frame in its file, what is held of it and its line, and False where padding is, or None."""


@dataclass
class Part:
    """What one DICOM file contributes to a scan, beside the pixels.

    Attributes
    ----------
    ds : pydicom.dataset.Dataset
        The file.
    colour : bool
        Whether its pixels are.
    frames : list of int
        Which of the file's frames they are.
    given : FileWindows
        How the file wants to be shown.
    identity : Window or None
        Window of the whole stored range, where it is the natural default (8 bits or fewer, not rescaled).
    """

    ds: Dataset
    frames: list[int]
    colour: bool = False
    given: FileWindows = field(default_factory=lambda: FileWindows([]))
    identity: Window | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def inverted(self) -> bool:
        """True for MONOCHROME1."""
        return not self.colour and self.ds.get("PhotometricInterpretation") == "MONOCHROME1"


def read_part(ds: Dataset, name: str, frames: list[int], take: Take) -> Part:
    """Decode some frames of a data set and bring them to modality units.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        As returned by `read_dicom`.
    name : str
        File name for the messages.
    frames : list of int
        Which frames; of a mosaic, which tiles.
    take : callable
        Is given each of them: grey (H, W), whose values on its line are in modality units, or (H, W, 3) colour. A frame
        may come twice.

    Raises
    ------
    ScanError
        Where the pixels of the file cannot be used.
    """
    part = Part(ds, frames)
    scale = _Scale(part, name)
    kinds = set[str]()

    def take_stored(number: int, stored: np.ndarray) -> None:
        if number not in scale.lines:
            return
        part.colour = stored.ndim == 3
        kinds.add(stored.dtype.kind)
        held, line = (stored, STRAIGHT) if part.colour else scale.applied(number, stored)
        take(number, held, line, _valid(ds, stored))

    with pixels_at_hand(ds):
        if is_mosaic(ds):
            for number, tile in enumerate(_tiles(part, name)):
                take_stored(number, tile)
        else:
            read_stored(ds, name, part.notes, take_stored)
    if part.colour:
        return part
    part.notes += scale.notes
    if not scale.changes and int(ds.get("BitsStored") or 16) <= 8:
        part.identity = identity_window(int(ds.BitsStored), "i" in kinds)
    highest = finite_number(ds, "HighBit")
    if highest is not None and ds.get("BitsStored") and highest + 1 != int(ds.BitsStored):
        part.notes.append("The file places its bits unusually (High Bit), so grey values may be off.")
    part.given = file_windows(ds, frames, name, part.notes)
    return part


def _tiles(part: Part, name: str) -> np.ndarray:
    """The slices of a mosaic; its one picture where of how many isn't said."""
    stored = stored_pixels(part.ds, name, part.notes)
    mosaic = mosaic_of(part.ds, stored)
    if mosaic is None:
        part.notes.append("The picture is a mosaic of slices, but of how many is not said, so it is shown whole.")
        return stored
    part.notes.append(f"The picture is a mosaic, and was divided into its {mosaic.count} slices.")
    return mosaic.split(stored)


def _valid(ds: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Mark what is no padding; the range includes both of its ends (PS3.3 C.7.5.1.1.2)."""
    value = finite_number(ds, "PixelPaddingValue")
    if value is None or stored.ndim == 3:
        return None
    limit = finite_number(ds, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    valid = (stored < low) | (stored > high)
    return None if valid.all() else valid


class _Scale:
    """The modality LUT or the rescale of some frames of a file (PS3.3 C.11.1).

    lines: by frame, slope and intercept; notes: what was wrong with the values or with how they are to be scaled.
    """

    def __init__(self, part: Part, name: str) -> None:
        self.notes: list[str] = []
        self._lut = usable_lut(part.ds, "ModalityLUTSequence", name, self.notes)
        self.lines = {index: _rescale(part.ds, index) for index in part.frames}
        if self._lut is None and any(slope == 0 for slope, _ in self.lines.values()):
            self.notes.append("The rescale slope of the file is 0, which is not allowed, and was ignored.")
        self.lines = {index: (slope or 1.0, intercept) for index, (slope, intercept) in self.lines.items()}

    @property
    def changes(self) -> bool:
        """Whether values change."""
        return self._lut is not None or set(self.lines.values()) != {(1.0, 0.0)}

    def applied(self, number: int, stored: np.ndarray) -> tuple[np.ndarray, Line]:
        """What is held of a frame, and the line on which it is in modality units."""
        if stored.dtype.kind == "f":
            if not np.isfinite(stored).all() and NO_NUMBERS not in self.notes:
                self.notes.append(NO_NUMBERS)
            stored = finite_float32(stored)
        return rescaled(stored, self.lines[number]) if self._lut is None else (look_up(stored, self._lut), STRAIGHT)


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


def rescaled(stored: np.ndarray, line: Line) -> tuple[np.ndarray, Line]:
    """Hold ``slope * stored + intercept`` (PS3.3 C.11.1.1.2) in as little memory as it takes.

    Parameters
    ----------
    stored : numpy.ndarray
        Any shape.
    line : Line
        Modality units per stored value, and modality units at 0.

    Returns
    -------
    numpy.ndarray
        Integers in the smallest type where both numbers are whole and `stored` is, and small integers as they are, else
        float32.
    Line
        What makes modality units of them.
    """
    slope, intercept = line
    if line == STRAIGHT:
        return stored, STRAIGHT
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [int(end) * int(slope) + int(intercept) for end in (stored.min(), stored.max())]
        for kind in _INTEGERS:
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                return (stored.astype(np.int64) * int(slope) + int(intercept)).astype(kind), STRAIGHT
    if stays_stored(stored.dtype, line):
        return stored, line
    with np.errstate(over="ignore", invalid="ignore"):
        return finite_float32(stored.astype(np.float64) * slope + intercept), STRAIGHT


class ScanPixels:
    """The values of some frames, in their order, and where these are padding."""

    def __init__(self, frames: list[Frame], name: str) -> None:
        self._place = {(id(frame.ds), frame.index): place for place, frame in enumerate(frames)}
        self._volume, self._count = Volume(len(frames), name), len(frames)
        self._valid: np.ndarray | None = None
        self.lost: set[int] = set()

    def put(self, ds: Dataset, index: int, held: np.ndarray, line: Line, valid: np.ndarray | None) -> None:
        """Take in a frame of a file."""
        place = self._place[id(ds), index]
        self._volume.put(place, held, line)
        if valid is not None:
            if self._valid is None:
                self._valid = np.ones((self._count, *valid.shape), bool)
            self._valid[place] = valid

    def lose(self, frames: list[Frame]) -> None:
        """Leave out frames that can't be read."""
        self.lost |= {self._place[id(frame.ds), frame.index] for frame in frames}

    @property
    def taken(self) -> tuple[Values, np.ndarray | None]:
        """(F, H, W) or (F, H, W, 3) values, and (F, H, W) False on padding; None where there is none."""
        places = [place for place in range(self._count) if place not in self.lost]
        valid = self._valid[places] if self._valid is not None and self.lost else self._valid
        values = on_lines(self._volume.take(places), self._volume.lines(places))
        return values, None if valid is None or valid.all() else valid
