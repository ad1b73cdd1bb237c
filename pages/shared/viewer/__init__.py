"""The viewer: every slice of a scan in the browser, where turning the wheel asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

import streamlit as st

from pages.shared.viewer.drawn import Drawn, drawn_of
from pages.shared.viewer.files import address_of, volume_of
from pages.shared.words import number

if TYPE_CHECKING:
    import numpy as np

    from core import Scan, Window

HERE = Path(__file__).parent
SCRIPTS = ("region.js", "screen.js", "overlay.js", "strip.js", "viewer.js")
WIDEST = 1e12  # of grey values, in modality units


class Overlay(NamedTuple):
    """A map over one slice.

    strengths: as `core.explanation.overlays.strength_png` gives it; limit: what its white stands for, in `unit`.
    """

    strengths: bytes
    limit: float
    unit: str
    frame: int


class Wish(NamedTuple):
    """What the reader wants examined: a slice from 0, and the window (low, high; `bent`: no straight line between)
    where it isn't the one in use."""

    frame: int
    window: tuple[float, float] | None
    bent: bool = False


class Shown(NamedTuple):
    """A scan as the browser is told of it: see `prepare_viewer`."""

    scan: Scan
    data: dict[str, Any]
    reduction: int


def prepare_viewer(
    scan: Scan,
    frame: int,
    window: Window | None,
    overlay: Overlay | None = None,
    outlines: Mapping[int, list[np.ndarray]] | None = None,
) -> Shown:
    """What the browser needs of a scan at the slice and in the window that are examined.

    `outlines`: slice → borders of its region, each (N, 2) as `core.fidelity.region.Region.borders`; None where no
    region is to be drawn.

    Once a run of the page and not of a fragment: the slices are large, and stay at hand while fragments run.
    """
    from core.scans.viewing import viewer_window

    volume, key = volume_of(scan), _key(scan)
    facts = {
        "url": address_of(volume.data, volume.digest, "application/octet-stream", f"{key}-volume"),
        "dtype": volume.dtype,
        "shape": volume.shape,
        "channels": volume.channels,
        "slope": volume.slope,
        "intercept": volume.intercept,
        "spacing": volume.spacing,
        "measured": scan.millimetres is not None,
        "range": volume.value_range,
        "inverted": scan.inverted,
        "axes": scan.axes,
        "windows": [viewer_window(scan, preset, frame) for preset in scan.presets],
    }
    data = {
        "name": scan.name,
        "volume": facts,
        "slice": frame,
        "window": viewer_window(scan, window, frame),
        "overlay": overlay and _over(overlay, f"{key}-overlay"),
        "regions": outlines is not None,
        "outlines": {str(own): _as_shown(lines, volume.reduction) for own, lines in (outlines or {}).items()},
        "fixed": scan.exact,
    }
    return Shown(scan, data, volume.reduction)


def draw_viewer(
    shown: Shown,
    on_wish: Callable[[Scan, Wish], None],
    strip: dict[str, Any] | None = None,
    on_drawn: Callable[[Scan, Drawn], None] = lambda scan, drawn: None,
) -> None:
    """Draw the viewer; `on_wish` is called when another slice or window of this scan is to be examined.

    `on_drawn` is called when a region was drawn or removed. Streamlit keeps callbacks as long as the visit lasts: they
    must not hold the scan, they are handed it.

    `strip`, what was found on each slice: ``slices`` (``label``, ``confidence``, ``flagged``, ``refused``, ``examined``
    each), ``colours`` and ``heights`` by label (a height of 1 fills the strip), the colour ``flag``, and a ``summary``.
    """
    key, scan, reduction = _key(shown.scan), ref(shown.scan), shown.reduction

    def wished() -> None:
        if (shown_still := scan()) and (wish := wish_of(st.session_state[key].get("examine"), shown_still)):
            on_wish(shown_still, wish)

    def drew() -> None:
        if (shown_still := scan()) and (drawn := drawn_of(st.session_state[key].get("region"), shown_still, reduction)):
            on_drawn(shown_still, drawn)

    data = shown.data | {"strip": strip}
    component("viewer", *SCRIPTS)(key=key, data=data, on_examine_change=wished, on_region_change=drew)
    if shown.reduction > 1:
        st.caption(f"The scan is large: every {_ordinal(shown.reduction)} row and column is shown; the models see all.")


def _key(scan: Scan) -> str:
    return f"viewer-{scan.key}"


def wish_of(answer: Any, scan: Scan) -> Wish | None:
    """What the browser sent, as far as it makes sense."""
    if not isinstance(answer, dict):
        return None
    frame, window = answer.get("slice"), answer.get("window")
    if type(frame) is not int or not 0 <= frame < scan.frame_count:
        return None
    if isinstance(window, dict) and not scan.is_colour and not scan.exact:
        low, high = window.get("low"), window.get("high")
        if isinstance(low, int | float) and isinstance(high, int | float) and -WIDEST < low < high < WIDEST:
            return Wish(frame, (float(low), float(high)), window.get("bent") is True)
    return Wish(frame, None)


def _over(overlay: Overlay, place: str) -> dict[str, Any]:
    """A map as the browser is told of it: how much of it is seen is up to the reader."""
    from core.explanation.overlays import colours

    strengths, limit, unit, frame = overlay
    return {
        "url": address_of(strengths, sha256(strengths).hexdigest(), "image/png", place),
        "colours": colours(),
        "low": "0",
        "high": f"{number(limit)} {unit}",
        "limit": limit,
        "slice": frame,
    }


def _as_shown(lines: list[np.ndarray], reduction: int) -> list[list[list[float]]]:
    """Each [column, row] in pixels of the slice as the browser has it."""
    return [(line[:, ::-1] / reduction).round(2).tolist() for line in lines]


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


@cache
def component(name: str, *scripts: str) -> Any:
    """One of the folder's components: its markup bears its name, and its script is what these give together."""
    html, css, *parts = (
        (HERE / file).read_text(encoding="utf-8") for file in (f"{name}.html", "viewer.css", "drawing.js", *scripts)
    )
    return st.components.v2.component(f"purescan_{name}", html=html, css=css, js="\n".join(parts))
