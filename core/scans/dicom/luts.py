"""Lookup tables of a data set: modality, VOI and palette share one form."""

from __future__ import annotations

import numpy as np
from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from core.scans.dicom.attributes import DAMAGED
from core.scans.scan import ScanError
from core.scans.windowing import Lut, look_up


def read_lut(ds: Dataset, item: Dataset, name: str, prefix: str = "LUT") -> Lut:
    """Read a lookup table (PS3.3 C.11.1.1.1, C.11.2.1.1, and C.7.6.3.1.5 for palettes).

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        The data set, which knows the byte order.
    item : pydicom.dataset.Dataset
        Where the descriptor and the data are.
    name : str
        File name for the message.
    prefix : str
        Start of the keywords ``...Descriptor`` and ``...Data``.

    Raises
    ------
    ScanError
        Where the table is damaged.
    """
    try:
        count, first, bits = (int(number) for number in item[f"{prefix}Descriptor"].value)
        entries = _entries(ds, item[f"{prefix}Data"].value, _count(count))
    except DAMAGED as error:
        raise ScanError(f"'{name}' has a damaged lookup table: export or download it again.") from error
    if not 1 <= bits <= 16 or len(entries) == 0:
        raise ScanError(f"'{name}' has a lookup table of {bits} bits, which is not allowed: export it again.")
    return Lut(first, entries, bits)


def usable_lut(ds: Dataset, keyword: str, name: str, notes: list[str]) -> Lut | None:
    """Read the first table of a sequence; a note says that a damaged one is ignored.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        The data set.
    keyword : str
        ``'ModalityLUTSequence'`` or ``'VOILUTSequence'``.
    name : str
        File name for the messages.
    notes : list of str
        The note is added.
    """
    if not ds.get(keyword):
        return None
    item = ds[keyword].value[0]
    try:
        lut = read_lut(ds, item, name)
    except ScanError:
        lut = None
    if lut is None or len(lut.entries) < _count(item.LUTDescriptor[0]):
        notes.append(f"A lookup table of the file ({dictionary_description(keyword)}) is damaged and was ignored.")
        return None
    return lut


def _count(stated: int) -> int:
    # Of 16 bits, of which 0 stands for 2 to the power of 16 (PS3.3 C.11.1.1.1).
    return (int(stated) & 0xFFFF) or 65536


def _entries(ds: Dataset, data: object, count: int) -> np.ndarray:
    if isinstance(data, (bytes, bytearray)):
        # One byte an entry where the data are half as long as 16-bit entries would be, and made even.
        narrow = len(data) in (count, count + 1)
        little = ds.original_encoding[1] is not False
        kind = np.dtype("u1") if narrow else np.dtype("<u2" if little else ">u2")
        return np.frombuffer(data[: count * kind.itemsize], kind).astype(np.uint16)
    numbers = [data] if isinstance(data, int) else list(data)  # type: ignore[call-overload]
    return np.asarray(numbers[:count], dtype=np.int64).astype(np.uint16)


class Palette:
    """Looks colours up (PS3.3 C.7.6.3.1.5); pydicom expands segmented palettes (C.7.9.2)."""

    def __init__(self, ds: Dataset, name: str) -> None:
        self._ds, self._name = ds, name
        colours = ("Red", "Green", "Blue") if "RedPaletteColorLookupTableData" in ds else ()
        self._luts = [read_lut(ds, ds, name, f"{colour}PaletteColorLookupTable") for colour in colours]

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W) → (H, W, 3); ScanError where the palette is damaged."""
        if self._luts:
            small = max(int(lut.entries.max()) for lut in self._luts) < 256 and self._luts[0].bits <= 8
            return full_range(np.stack([look_up(pixels, lut) for lut in self._luts], axis=-1), 8 if small else 16)
        try:
            colour = apply_color_lut(pixels, self._ds)[..., :3]
        except Exception as error:
            raise ScanError(f"'{self._name}' has a damaged colour palette: export it again as RGB.") from error
        return full_range(colour, 8 * colour.dtype.itemsize)


def full_range(colour: np.ndarray, bits: int) -> np.ndarray:
    """Bring colour (any shape) of `bits` bits to the full range of uint8 or uint16."""
    if bits <= 8:
        return _scaled(colour, bits, 8).astype(np.uint8)
    return _scaled(colour, bits, 16).astype(np.uint16)


def _scaled(colour: np.ndarray, bits: int, wanted: int) -> np.ndarray:
    if bits == wanted:
        return colour
    top = 2.0**bits - 1.0
    return np.rint(np.clip(colour.astype(np.float64), 0.0, top) * ((2.0**wanted - 1.0) / top))
