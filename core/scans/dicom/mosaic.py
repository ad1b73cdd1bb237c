"""Siemens mosaics: the slices of a volume as tiles of one picture (Image Type has MOSAIC as one of its values).

Everything that tells how is private to the vendor: the CSA header, as nibabel's documentation describes it ("Siemens
format DICOM with CSA header"), and a few elements that say the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.attributes import finite_number, finite_numbers, private_value
from core.scans.dicom.pixels import stored_pixels
from core.scans.scan import ScanError

_MOST_TAGS, _MOST_ITEMS = 1000, 1000
_MOST_TILES = 1024
_TAG = struct.Struct("<64si4siii")
_ITEM = struct.Struct("<4i")


@dataclass(frozen=True, eq=False)
class Mosaic:
    """How a picture is divided.

    Attributes
    ----------
    count : int
        Slices, row by row from the top left; what is left of the picture is black.
    side : int
        Tiles in a row, and in a column.
    normal : numpy.ndarray or None
        (3,) direction from a slice to the next, in the patient's axes; None where the file doesn't say.
    """

    count: int
    side: int
    normal: np.ndarray | None = None

    def split(self, picture: np.ndarray) -> np.ndarray:
        """(1, H, W) → (count, H / side, W / side)."""
        height, width = (length // self.side for length in picture.shape[1:])
        tiles = picture.reshape(self.side, height, self.side, width).swapaxes(1, 2)
        return np.ascontiguousarray(tiles.reshape(-1, height, width)[: self.count])


def mosaic_of(ds: Dataset, picture: np.ndarray | None = None) -> Mosaic | None:
    """How the picture of a data set is divided; None where it is no mosaic, or doesn't say how.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        Where it says how wide a tile is but not how many there are, those up to the last that isn't empty count.
    picture : numpy.ndarray, optional
        (1, H, W) its stored values; they are decoded where they are needed and not given.
    """
    if not is_mosaic(ds):
        return None
    csa = dict(_csa(private_value(ds, 0x0029, "SIEMENS CSA HEADER", 0x10)))
    count = _count(ds, csa)
    side = int(np.ceil(np.sqrt(count))) if count else _side(ds)
    rows, columns = finite_number(ds, "Rows") or 0, finite_number(ds, "Columns") or 0
    if not 2 <= side <= rows or rows % side or columns % side or side**2 > _MOST_TILES:
        return None
    return Mosaic(count or _filled(ds, side, picture), side, _normal(csa))


def is_mosaic(ds: Dataset) -> bool:
    """Whether Image Type (0008,0008) says so, and the file holds one grey picture."""
    kinds = ds.get("ImageType") or ()
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    frames, samples = finite_number(ds, "NumberOfFrames") or 1, finite_number(ds, "SamplesPerPixel") or 1
    return "MOSAIC" in kinds and frames <= 1 and samples == 1


def _count(ds: Dataset, csa: dict[str, list[str]]) -> int:
    """Number of slices, from the CSA header or the element (0019,xx0A); 0 where neither says it."""
    stated = (csa.get("NumberOfImagesInMosaic") or [""])[0]
    if stated.isdecimal():
        return int(stated)
    value = private_value(ds, 0x0019, "SIEMENS MR HEADER", 0x0A)
    if isinstance(value, bytes):
        return int.from_bytes(value[:2], "little")
    return value if isinstance(value, int) else 0


def _side(ds: Dataset) -> int:
    """Tiles in a row, from Acquisition Matrix (0018,1310): rows and columns of what was measured; 0 where unknown."""
    matrix = [length for length in finite_numbers(ds, "AcquisitionMatrix") if length > 0]
    rows, columns = finite_number(ds, "Rows") or 0, finite_number(ds, "Columns") or 0
    if len(matrix) != 2:
        return 0
    return _ratio((rows, columns), matrix) or _ratio((columns, rows), matrix)


def _ratio(lengths: tuple[float, float], parts: list[float]) -> int:
    """How many times the parts go into the lengths, where it is the same whole number; else 0."""
    ratios = {length / part for length, part in zip(lengths, parts, strict=True)}
    ratio = ratios.pop()
    return 0 if ratios or not ratio.is_integer() else int(ratio)


def _filled(ds: Dataset, side: int, picture: np.ndarray | None) -> int:
    """Tiles up to the last that isn't empty; all of them where that can't be seen."""
    if picture is None:
        try:
            picture = stored_pixels(ds, "", [])
        except ScanError:
            return side**2
    tiles = Mosaic(side**2, side).split(picture).reshape(side**2, -1)
    filled = np.flatnonzero(tiles.min(axis=1) != tiles.max(axis=1))
    return int(filled[-1]) + 1 if len(filled) else side**2


def _normal(csa: dict[str, list[str]]) -> np.ndarray | None:
    try:
        normal = np.array([float(value) for value in csa.get("SliceNormalVector", [])[:3]])
    except ValueError:
        return None
    length = float(np.linalg.norm(normal))
    return normal / length if normal.shape == (3,) and np.isfinite(length) and length > 0 else None


def _csa(data: object) -> Iterator[tuple[str, list[str]]]:
    """Yield name and values of the tags of a CSA header, of either version; stop where it is damaged."""
    if not isinstance(data, bytes) or len(data) < 16:
        return
    start = 8 if data[:4] == b"SV10" else 0
    count = min(int.from_bytes(data[start : start + 4], "little"), _MOST_TAGS)
    position, first_items = start + 8, None
    for _ in range(count):
        if position + _TAG.size > len(data):
            return
        name, _, _, _, items, _ = _TAG.unpack_from(data, position)
        position += _TAG.size
        first_items = items if first_items is None else first_items
        values = []
        for _ in range(min(max(items, 0), _MOST_ITEMS)):
            if position + _ITEM.size > len(data):
                return
            lengths = _ITEM.unpack_from(data, position)
            # The first version hides the length behind the number of items of the first tag.
            length = lengths[1] if start else lengths[0] - first_items
            position += _ITEM.size
            if not 0 <= length <= len(data) - position:
                return
            values.append(data[position : position + length].split(b"\0")[0].decode("latin-1").strip())
            position += length + -length % 4
        yield name.split(b"\0")[0].decode("latin-1"), [value for value in values if value]
