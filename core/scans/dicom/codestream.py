"""What a compressed frame says about itself, read before a decoder written in C sees it.

Decoders allocate what the codestream announces, not what the DICOM tags announce; where the two differ the file is
damaged or hostile, and either way its pixels would be wrong.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_J2K_START = b"\xff\x4f\xff\x51"
# The boxes of a JP2 file may hold a palette or a colour profile before the codestream.
_MAX_BOXES = 2**20


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
    """Rows, columns, components and bits of precision of one frame."""

    rows: int
    columns: int
    components: int
    precision: int


def jpeg_header(frame: bytes) -> Header | None:
    """Read the frame header of a JPEG or JPEG-LS codestream (ITU-T T.81 B.2.2, T.87 C.2.2).

    Returns None where there is none, i.e. where the frame is no JPEG.
    """
    if frame[:2] != b"\xff\xd8":
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
    return Header(rows, columns, components, precision)


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
