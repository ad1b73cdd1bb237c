"""What Pillow does not read of TIFF as it is meant: many pages, deep grey and colour, grey of which 0 is white."""

from __future__ import annotations

import logging
import struct
from typing import BinaryIO

import numpy as np
import tifffile

from core.scans import limits
from core.scans.dicom.pixels import check_size
from core.scans.dicom.values import finite_float32
from core.scans.memory.content import Content
from core.scans.memory.volume import Volume
from core.scans.scan import ScanError

# Damaged pictures are told in the sentence of a ScanError; what the library prints besides helps nobody.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

WIDE = 2**14
"""The lowest value that needs fifteen bits."""

_PHOTOMETRIC = 262
_SHORT = 3


def check_pages(data: memoryview, name: str) -> None:
    """Raise ScanError where a TIFF has more pages than `limits.MAX_PAGES`.

    The libraries count all pages first, in quadratic time.
    """
    order = "<" if data[:1] == b"I" else ">"
    big = struct.unpack(order + "H", data[2:4]) == (43,)
    first, count, entry, offset = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    place = first
    for _ in range(limits.MAX_PAGES + 1):
        try:
            (page,) = struct.unpack_from(order + offset, data, place)
            (entries,) = struct.unpack_from(order + count, data, page)
        except struct.error:
            return  # cut off: whoever reads it will say so
        if page == 0:
            return
        place = page + struct.calcsize(count) + entry * entries
    raise ScanError(f"'{name}' has more than {limits.MAX_PAGES} pages, or pages in a circle: split it.")


def deep_tiff(file: BinaryIO, name: str, notes: list[str]) -> np.ndarray | None:
    """Read what Pillow would narrow or refuses: uncompressed TIFF of more than 8 bits that is no plain grey.

    Compressed pages stay with Pillow, whose decoder never writes beyond the size announced.
    """
    with tifffile.TiffFile(file) as tiff:
        first = tiff.pages.first
        plain = first.compression == 1 and not first.is_tiled and first.is_contiguous
        bits = first.bitspersample if isinstance(first.bitspersample, int) else max(first.bitspersample)
        grey = first.samplesperpixel == 1
        if not plain or bits not in (16, 32, 64) or grey and bits == 16 and first.sampleformat == 1:
            return None
        return _contiguous_pages(tiff, name, notes)


def _contiguous_pages(tiff: tifffile.TiffFile, name: str, notes: list[str]) -> np.ndarray | None:
    first = tiff.pages.first
    rows, columns, samples = first.imagelength, first.imagewidth, first.samplesperpixel
    check_size(name, 1, rows, columns, samples)
    count = len(tiff.pages)
    check_size(name, count, rows, columns, samples)
    pages = [tiff.pages[index] for index in range(count)]
    same = [page for page in pages if page.shape == first.shape and page.dtype == first.dtype]
    if len(same) < count:
        notes.append(f"{count - len(same)} pages of another size or kind were left out.")
    if samples == 1:
        return _deep_grey(same, int(first.photometric) == 0, name, notes)
    values = np.stack([page.asarray(maxworkers=1) for page in same])
    return _deep_colour(values, samples)


def _deep_grey(pages: list, white_is_zero: bool, name: str, notes: list[str]) -> np.ndarray:
    frames = Volume(len(pages), name)
    for place, page in enumerate(pages):
        frame = page.asarray(maxworkers=1)
        frames.put(place, finite(frame, notes) if frame.dtype.kind == "f" else frame)
    values = frames.take()
    return reversed_grey(values) if white_is_zero else values


def black_is_zero(content: Content, name: str) -> tuple[Content, str | None]:
    """Declare deep grey of which 0 is white as grey of which 0 is black; tell its kind, None where nothing changed.

    Pillow turns such pictures of 8 bits only: it shows deeper ones inverted, or refuses them.
    """
    with tifffile.TiffFile(content.stream) as tiff:
        first = tiff.pages.first
        if int(first.photometric) != 0 or first.samplesperpixel != 1 or first.bitspersample not in (16, 32):
            return content, None
        count = len(tiff.pages)
        check_size(name, count, first.imagelength, first.imagewidth)
        changed = bytearray(content.view)
        for index in range(count):
            page = tiff.pages[index]
            assert isinstance(page, tifffile.TiffPage), "pages are read whole unless one asks for frames"
            tag = page.tags.get(_PHOTOMETRIC)
            if tag is not None and tag.value == 0 and tag.count == 1 and tag.dtype == _SHORT:
                struct.pack_into(f"{tiff.byteorder}H", changed, tag.valueoffset, 1)
        return Content.of(memoryview(changed)), "signed" if first.sampleformat == 2 else "unsigned"


def reversed_grey(values: np.ndarray) -> np.ndarray:
    """Exchange black and white, in place where these are integers."""
    # The complement reverses the whole type and never overflows, as the highest value minus a negative one would.
    if values.dtype.kind == "i" or values.dtype == np.uint8 or values.dtype == np.uint16 and values.max() >= WIDE:
        return np.invert(values, out=values)
    if values.dtype.kind == "f":
        return finite_float32(values.max().astype(np.float64) - values)
    return np.subtract(values.max(), values, out=values)


def _deep_colour(values: np.ndarray, samples: int) -> np.ndarray | None:
    if values.dtype != np.uint16 or samples < 3 or values.ndim != 4:
        return None
    if values.shape[-1] != samples:
        values = np.moveaxis(values, 1, -1)
    return np.ascontiguousarray(values[..., :3])


def finite(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return `values` with 0 in place of what is no number, and a note where there was any."""
    note = "Values that are no numbers were replaced by 0."
    if not np.isfinite(values).all() and note not in notes:
        notes.append(note)
    return finite_float32(values)
