"""Codestreams that no library here writes."""

from __future__ import annotations

import struct

import numpy as np

SEQUENTIAL, PROGRESSIVE = 0xC1, 0xC2
_BITS = 5  # of each code for the length of a number: 16 of them, none of which is all ones


def jpeg_12_bit(blocks: np.ndarray, process: int = SEQUENTIAL) -> bytes:
    """Return a lossy JPEG of 12 bits (ITU-T T.81) whose blocks of 8 × 8 pixels have the values `blocks`, each its own.

    A block of one value has a first coefficient only, which is eight times the value less half the range.
    """
    rows, columns = blocks.shape
    frame = struct.pack(">BHHB", 12, 8 * rows, 8 * columns, 1) + b"\1\x11\0"
    first = b"\0" + bytes([0, 0, 0, 0, 16]) + bytes(11) + bytes(range(16))
    others = b"\x10" + bytes([1]) + bytes(15) + b"\0"
    tables = _segment(0xDB, b"\0" + b"\1" * 64) + _segment(0xC4, first) + _segment(0xC4, others)
    start = b"\xff\xd8" + tables + _segment(process, frame)
    if process == SEQUENTIAL:
        return start + _scan(0, 63) + _bytes(_coded(blocks, "0")) + b"\xff\xd9"
    return start + _scan(0, 0) + _bytes(_coded(blocks, "")) + _scan(1, 63) + _bytes("0" * blocks.size) + b"\xff\xd9"


def _scan(first: int, last: int) -> bytes:
    return _segment(0xDA, b"\1\1\0" + bytes([first, last, 0]))


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _coded(blocks: np.ndarray, others: str) -> str:
    """The first coefficient of each block as its step from the one before, then the code for no other."""
    coefficients = [8 * (int(value) - 2048) for value in blocks.ravel()]
    text = ""
    for before, now in zip([0, *coefficients], coefficients):
        step = now - before
        length = abs(step).bit_length()
        text += f"{length:0{_BITS}b}"
        text += f"{step if step > 0 else step + 2**length - 1:0{length}b}" if length else ""
        text += others
    return text


def _bytes(text: str) -> bytes:
    text += "1" * (-len(text) % 8)
    return bytes(int(text[place : place + 8], 2) for place in range(0, len(text), 8)).replace(b"\xff", b"\xff\0")
