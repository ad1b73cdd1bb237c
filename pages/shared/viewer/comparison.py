"""Pictures of one slice compared in the browser: side by side or in turns, with what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.pictures import GAINS
from pages.shared.viewer import component
from pages.shared.viewer.files import address_of

if TYPE_CHECKING:
    import numpy as np

    from core import Scan
    from core.explanation.comparison import PictureStack

SCRIPTS = ("region.js", "screen.js", "overlay.js", "comparison.js")
KEYS = (
    "Keys: **S** side by side, **A** and **B** one of the two in full, **F** flickers between them, **D** shows how "
    "they differ. On the picture: wheel, + and − zoom, Shift and arrows move, dragging {}, R resets."
)


def draw_comparison(
    pictures: Mapping[str, np.ndarray],
    scan: Scan,
    shape: tuple[int, ...],
    *,
    first: tuple[int, int] = (0, 1),
    gain: int = GAINS[-1],
    region: np.ndarray | None = None,
    large: bool = False,
) -> None:
    """Draw them; one such component a page.

    pictures: by name, each (C, R, R) in [0, 1] at the bundle's resolution; scan, shape: what they were made from, and
    (H, W, …) of its slice; first: which two are A and B to begin with; gain: how many times their difference is
    amplified, one of `GAINS`; region: (R, R) bool, to be outlined on all of them; large: for a class, one
    of them in full, in all the height there is.
    """
    data = compared(pictures, scan, shape, region) | {"first": list(first), "gain": gain, "large": large}
    component("comparison", *SCRIPTS)(key="comparison", data=data)
    if not large:
        st.caption(KEYS.format("moves it" if scan.is_colour else "sets the window"))


def compared(
    pictures: Mapping[str, np.ndarray], scan: Scan, shape: tuple[int, ...], region: np.ndarray | None
) -> dict[str, Any]:
    """What the browser needs of the pictures."""
    from core.explanation.comparison import borders_in_stack, stack_pictures
    from core.explanation.overlays import colours

    stack = stack_pictures(list(pictures.values()), shape, scan.spacing)
    lines = [] if region is None else borders_in_stack(region, shape, scan.spacing)
    still = stack.still()
    return {
        "name": scan.name,
        "names": list(pictures),
        "volume": _facts(stack, scan),
        "gains": list(GAINS),
        "colours": colours(signed=True),
        "outline": [line[:, ::-1].round(2).tolist() for line in lines] or None,
        "still": address_of(still, sha256(still).hexdigest(), "image/png", "comparison-still"),
    }


def _facts(stack: PictureStack, scan: Scan) -> dict[str, Any]:
    levels, data = stack.levels, stack.levels.tobytes()
    side = stack.millimetre if scan.measured else None
    return {
        "url": address_of(data, sha256(data).hexdigest(), "application/octet-stream", "comparison"),
        "dtype": "uint16",
        "shape": levels.shape[:3],
        "channels": 1 if levels.ndim == 3 else 3,
        "slope": 1 / 65_535,
        "intercept": 0.0,
        "spacing": (1.0, side, side) if side else None,
        "measured": bool(side),
        "range": (0.0, 1.0),
        "inverted": False,
        "axes": scan.axes,
    }
