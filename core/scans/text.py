"""Texts from files: made safe for one line on a page, and in their order."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\u024f\u0370-\uffef]+")


def one_line(text: object, limit: int = 60) -> str:
    """Return `text` without control characters, on one line, of at most `limit` characters."""
    line = " ".join(_UNPRINTABLE.sub(" ", str(text)).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def natural(file: str) -> list[tuple[int, int, str]]:
    """Orders names: 'slice10' after 'slice9'."""
    pieces = re.findall(r"\d+|\D+", file)
    # By the number of digits first: a name may hold more of them than an integer is made of.
    return [(0, len(bare), bare) if piece[0].isdecimal() else (1, 0, piece)
            for piece in pieces for bare in [piece.lstrip("0")]]  # fmt: skip
