"""Texts from files, made safe for one line on a page."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\u024f\u0370-\uffef]+")


def one_line(text: object, limit: int = 60) -> str:
    """Return `text` without control characters, on one line, of at most `limit` characters."""
    line = " ".join(_UNPRINTABLE.sub(" ", str(text)).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
