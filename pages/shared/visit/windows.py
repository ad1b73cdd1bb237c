"""A window of grey values as a word of an address, its centre and width, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.shared.settings.scan import own_limits, own_window, rounded

if TYPE_CHECKING:
    from core import Scan, Window

APART = "~"


def window_word(window: Window | None) -> str:
    """What an address says of a window, in modality units, such as ``40~80``; empty where none was chosen."""
    return f"{rounded(window.center):g}{APART}{rounded(window.width):g}" if window else ""


def asked_window(word: str, scan: Scan) -> Window | None:
    """The window that an address asks for; ValueError where this scan can't be shown in such a one."""
    if not word:
        return None
    for preset in scan.presets:
        if window_word(preset) == word:
            return preset
    centre, width = (float(part) for part in word.split(APART))
    if scan.is_colour or scan.exact:
        raise ValueError("window")
    for value, limits in zip((centre, width), own_limits(scan)):
        if not rounded(limits[0]) <= value <= rounded(limits[1]):  # which holds for no NaN
            raise ValueError("window")
    return own_window(centre, width)
