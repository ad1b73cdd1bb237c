"""What a frame of RLE would unpack to, told without unpacking it (PS3.5 annex G)."""

from __future__ import annotations

import struct

from core.scans.scan import ScanError

_HEADER = struct.Struct("<16I")


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
    if len(frame) < _HEADER.size:
        raise ScanError(f"'{name}' has damaged pixel data: export or download it again.")
    count, *starts = _HEADER.unpack_from(frame)
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
