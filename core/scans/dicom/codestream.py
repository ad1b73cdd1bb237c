"""What a compressed frame says about itself, read before a decoder written in C sees it.

Decoders allocate what the codestream announces, not what the DICOM tags announce; where the two differ the file is
damaged or hostile, and either way its pixels would be wrong.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from core.scans.scan import ScanError

_JPEG_START, END = b"\xff\xd8", b"\xff\xd9"
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_J2K_START = b"\xff\x4f\xff\x51"
_TILE_PART = b"\xff\x90\0\x0a"
# The boxes of a JP2 file may hold a palette or a colour profile before the codestream.
_MAX_BOXES = 2**20
_RLE_HEADER = struct.Struct("<16I")


def _boxes_reach(frame: bytes, start: int) -> bool:
    """Tell whether the boxes of a JP2 file lead to the codestream at `start` (ITU-T T.800 I.4).

    pydicom follows the lengths of the boxes, and follows a length of 0 for ever.
    """
    position = 0
    while position + 8 < start:
        length = struct.unpack(">I", frame[position : position + 4])[0]
        if length < 8:
            return False
        position += length
    return position + 8 == start and frame[start - 4 : start] == b"jp2c"


@dataclass(frozen=True)
class Header:
    """Rows, columns, components and bits of precision of one frame; of a JPEG, the marker of its frame header too."""

    rows: int
    columns: int
    components: int
    precision: int
    marker: int = 0


def jpeg_header(frame: bytes) -> Header | None:
    """Read the frame header of a JPEG or JPEG-LS codestream (ITU-T T.81 B.2.2, T.87 C.2.2).

    Returns None where there is none, i.e. where the frame is no JPEG.
    """
    if not frame.startswith(_JPEG_START):
        return None
    position = 2
    while position + 4 <= len(frame):
        if frame[position] != 0xFF:
            return None
        marker = frame[position + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES or marker == 0xF7:
            return _frame_header(frame, position)
        position += 2 + struct.unpack(">H", frame[position + 2 : position + 4])[0]
    return None


def _frame_header(frame: bytes, position: int) -> Header | None:
    fields = frame[position + 4 : position + 10]
    if len(fields) < 6:
        return None
    precision, rows, columns, components = struct.unpack(">BHHB", fields)
    return Header(rows, columns, components, precision, frame[position + 1])


def j2k_header(frame: bytes) -> Header | None:
    """Read the SIZ marker of a JPEG 2000 codestream, bare or inside a JP2 file (ITU-T T.800 A.5.1).

    Returns None where there is none.
    """
    start = frame.find(_J2K_START, 0, _MAX_BOXES)
    if start > 0 and not _boxes_reach(frame, start):
        return None
    fields = frame[start + 4 : start + 44] if start >= 0 else b""
    if len(fields) < 40:
        return None
    width, height, left, top = struct.unpack(">IIII", fields[4:20])
    components, depth = struct.unpack(">HB", fields[36:39])
    return Header(height - top, width - left, components, (depth & 0x7F) + 1)


def has_end(frame: bytes) -> bool:
    """Whether an end marker stands where a frame's data end: EOI of JPEG and JPEG-LS (ITU-T T.81 B.2.1), EOC of
    JPEG 2000 (T.800 A.4.4)."""
    if frame.startswith(_JPEG_START):
        return frame.rstrip(b"\0").endswith(END)
    end = _tile_parts_end(frame)
    return end is None or frame.startswith(END, end)


def without_end(frame: bytes) -> list[bytes]:
    """Return what may be the data of a frame that doesn't `has_end`.

    Of JPEG a zero at the end may make the length even, or be one of the data; JPEG 2000 states how long its parts are.
    """
    if frame.startswith(_JPEG_START):
        bare = frame.rstrip(b"\0")
        return [frame, bare, bare.removesuffix(END[:1])]
    return [frame[: _tile_parts_end(frame)]]


def is_open(frame: bytes) -> bool:
    """Whether the last part of a JPEG 2000 codestream reaches up to the end marker, and so doesn't state its length."""
    start = frame.rfind(_TILE_PART)
    return start >= 0 and frame[start + 6 : start + 10] == bytes(4)


def _tile_parts_end(frame: bytes) -> int | None:
    """Where the last tile-part ends (ITU-T T.800 A.4.2); None where it was cut, or that isn't stated."""
    position = frame.find(_TILE_PART, 0, _MAX_BOXES)
    while 0 <= position < len(frame) and frame.startswith(_TILE_PART, position):
        length = int.from_bytes(frame[position + 6 : position + 10], "big")
        if length == 0:  # it reaches up to the end marker, which can't stand within it
            end = frame.find(END, position)
            return end if end > 0 else len(frame)
        if length < 12:
            return None
        position += length
    return position if 0 < position <= len(frame) else None


def check_rle(frame: bytes, pixels: int, name: str) -> None:
    """Raise ScanError where a segment of a frame unpacks to more than one byte a pixel.

    Parameters
    ----------
    frame : bytes
        A header of 16 numbers and up to 15 segments, each packed by itself (PS3.5 G.5).
    pixels : int
        Rows times columns.
    name : str
        File name for the message.
    """
    if len(frame) < _RLE_HEADER.size:
        raise ScanError(f"'{name}' has damaged pixel data: export or download it again.")
    count, *starts = _RLE_HEADER.unpack_from(frame)
    starts = [*starts[: min(count, 15)], len(frame)]
    for start, end in zip(starts, starts[1:]):
        # A byte may follow that makes the length even (G.3.1), or one run that nobody asked for.
        if _exceeds(memoryview(frame)[start:end], pixels + 128):
            raise ScanError(f"'{name}' has more compressed data than its frames can hold: export it again.")


def _exceeds(segment: memoryview, most: int) -> bool:
    # Whatever it says, so short a segment can't unpack to more: a run of two bytes stands for 128 at most.
    if 64 * len(segment) <= most:
        return False
    position = total = 0
    while position < len(segment) and total <= most:
        code = segment[position]
        if code < 128:
            total += code + 1
            position += code + 2
        else:
            total += 257 - code if code > 128 else 0
            position += 2 if code > 128 else 1
    return total > most
