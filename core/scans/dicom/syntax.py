"""How pixel data are really encoded: told from the data, where the tags say something else or nothing."""

from __future__ import annotations

import struct
from typing import NamedTuple

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, parse_basic_offsets, parse_fragments
from pydicom.uid import UID

from core.scans.dicom.codestream import j2k_header, jpeg_header
from core.scans.dicom.openjpeg_plugin import SYNTAXES as JPEG_2000

NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
SPECTRAL_SELECTION = UID("1.2.840.10008.1.2.4.53")
FULL_PROGRESSION = UID("1.2.840.10008.1.2.4.55")
DCT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, SPECTRAL_SELECTION, FULL_PROGRESSION)
LOSSLESS = (uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
FAMILIES = (NATIVE, DCT, LOSSLESS, JPEG_LS, JPEG_2000, (uid.RLELossless,))

_ITEM, _EMPTY_ITEM = b"\xfe\xff\x00\xe0", b"\xfe\xff\x00\xe0\0\0\0\0"
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
# The number of segments, and where the first begins (PS3.5 G.5).
_RLE_STARTS = {struct.pack("<II", count, 64) for count in range(1, 16)}
_MOST_HEADER = 2**21
MOST_HEAD = 2 * _MOST_HEADER
"""As much of pixel data as tells how they are encoded: an offset table, and a header."""

# Markers of a frame header (ITU-T T.81, table B.1; T.87).
_LOSSLESS_FRAME, _JPEG_LS_FRAME = 0xC3, 0xF7


def is_encapsulated(data: bytes) -> bool:
    """Whether pixel data start with an item, as compressed ones do (PS3.5 A.4)."""
    return data.startswith(_ITEM)


class PixelStart(NamedTuple):
    """How pixel data begin: their first bytes, as many as a header may take, and how many there are."""

    head: bytes
    size: int


def encoding_of(ds: Dataset, start: PixelStart | None, stated: UID | None, size: int) -> UID | None:
    """Return the transfer syntax that the pixel data follow.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        With pixel data. A bare codestream is put into an item, as it should be (PS3.5 A.4).
    start : PixelStart or None
        How its pixel data begin; None where these are floats.
    stated : pydicom.uid.UID or None
        What the file says; it is returned wherever the data don't contradict it.
    size : int
        Bytes that uncompressed pixels of the stated shape take; 0 where that is unknown.

    Returns
    -------
    pydicom.uid.UID or None
        None where neither the file nor its data tell.
    """
    if start is None:
        return stated
    head = start.head
    if head.startswith(_STARTS) and _rows(head) == ds.get("Rows"):
        ds.PixelData = encapsulate([ds.PixelData])
        head = ds.PixelData[:MOST_HEAD]
    elif not is_encapsulated(head):
        return uid.ExplicitVRLittleEndian if stated not in NATIVE and 0 < size <= start.size else stated
    elif stated in NATIVE and 0 < size <= start.size and _rows(_first_frame(head)) != ds.get("Rows"):
        return stated
    found = _codestream(head)
    same = next((family for family in FAMILIES if stated in family), ())
    return stated if found is None or found in same else found


def _rows(frame: bytes) -> int | None:
    header = jpeg_header(frame) or j2k_header(frame)
    return header.rows if header else None


def _codestream(data: bytes) -> UID | None:
    """The first codestream's transfer syntax; None where it can't be told from its start."""
    frame = _first_frame(data)
    header = jpeg_header(frame)
    if header is None and frame[:8] in _RLE_STARTS:
        return uid.RLELossless
    if header is None:
        return uid.JPEG2000 if j2k_header(frame) else None
    if header.marker == _JPEG_LS_FRAME:
        return uid.JPEGLSNearLossless
    if header.marker == _LOSSLESS_FRAME:
        return uid.JPEGLossless
    return uid.JPEGBaseline8Bit if header.precision == 8 else uid.JPEGExtended12Bit


def _first_frame(data: bytes) -> bytes:
    """As much of the first fragment as its header may take."""
    return memoryview(data)[_first_fragment(data) :][:_MOST_HEADER].tobytes()


def _first_fragment(data: bytes) -> int:
    """Where the item behind the Basic Offset Table begins (PS3.5 A.4)."""
    table = struct.unpack("<I", data[4:8])[0] if len(data) >= 8 else 0
    return 8 + table + 8


def without_wrong_offsets(ds: Dataset, frames: int) -> None:
    """Empty offset tables that lead to no frames: a decoder would follow them, and finds the frames without.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        With encapsulated pixel data (PS3.5 A.4).
    frames : int
        How many there are.

    Raises
    ------
    ValueError
        Where the items themselves are damaged.
    """
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        # The items say the same, and who writes one table wrong writes the other wrong.
        if keyword in ds:
            delattr(ds, keyword)
    offsets = parse_basic_offsets(ds.PixelData)
    if not offsets:
        return
    _, starts = parse_fragments(ds.PixelData)
    first = _first_fragment(ds.PixelData) - 8
    places = [start - first for start in starts if start >= first]
    rising = all(low < high for low, high in zip(offsets, offsets[1:]))
    if len(offsets) != frames or offsets[0] != 0 or not rising or not set(offsets) <= set(places):
        ds.PixelData = _EMPTY_ITEM + ds.PixelData[first:]
