"""Which slice, and which window: every change is another examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.session import Session, forget_problem

if TYPE_CHECKING:
    from core import Scan, Window

CUSTOM = "Custom"


def draw_slice(session: Session, scan: Scan) -> None:
    """A slider over the slices of a volume."""
    if scan.frame_count > 1:
        key = f"slice-{scan.key}"
        label, count = f"Slice (1 to {scan.frame_count})", scan.frame_count
        chosen = st.slider(label, 1, count, session.frame + 1, key=key, on_change=forget_problem)
        session.frame = min(max(int(chosen), 1), count) - 1


def draw_window(session: Session, scan: Scan) -> None:
    """Presets, and two sliders for a window of one's own."""
    if scan.is_colour:
        return
    if scan.exact:
        st.caption("Purescan wrote this file with a fixed window, so that the models see exactly what was written.")
        return
    # None stands for what the scan is shown with where nothing was chosen.
    windows = scan.presets
    first = "VOI LUT of the file" if scan.voi_lut else scan.windows[0].name
    labels = _distinct([first, *(window.name for window in windows if window), CUSTOM])
    current = windows.index(session.window) if session.window in windows else len(windows)
    # The viewer sets the window, too, and then the boxes are new ones: what a slow browser still says of the old ones
    # would otherwise undo it.
    key = f"{scan.key}-{session.window_settings}"
    st.session_state.setdefault(f"window-{key}", current)
    options = range(len(labels))
    chosen = st.selectbox(
        "Window", options, format_func=labels.__getitem__, key=f"window-{key}", on_change=forget_problem
    )
    session.window = windows[chosen] if chosen < len(windows) else _own_window(scan, session.window, key)
    st.caption("The models see what the window shows: another window is another examination.")


def _distinct(names: list[str]) -> list[str]:
    """Number names that come again: Streamlit tells options apart by what it shows of them."""
    labels: list[str] = []
    for name in names:
        label, count = name, 1
        while label in labels:
            count += 1
            label = f"{name} ({count})"
        labels.append(label)
    return labels


def _own_window(scan: Scan, start: Window | None, key: str) -> Window:
    start = start or scan.windows[0]
    centre, width = own_limits(scan)
    st.session_state.setdefault(f"centre-{key}", _within(start.center, centre))
    st.session_state.setdefault(f"width-{key}", _within(start.width, width))
    middle = st.slider("Centre", *centre, step=width[0], key=f"centre-{key}", on_change=forget_problem)
    wide = st.slider("Width", *width, step=width[0], key=f"width-{key}", on_change=forget_problem)
    return own_window(middle, wide)


def own_window(centre: float, width: float) -> Window:
    """A window of the reader's own, in modality units, no finer than its address says it."""
    from core import Window

    return Window(rounded(centre), rounded(width), CUSTOM, "LINEAR_EXACT")


def rounded(value: float) -> float:
    """A number in six digits."""
    return float(f"{value:.6g}")


def own_limits(scan: Scan) -> tuple[tuple[float, float], tuple[float, float]]:
    """The least and largest centre, and width, that the sliders offer."""
    low = min(window.center - window.width / 2 for window in scan.windows)
    high = max(window.center + window.width / 2 for window in scan.windows)
    return (low, high), ((high - low) / 200, high - low)


def _within(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def choose_window(session: Session, scan: Scan, low: float, high: float) -> None:
    """Take a window of the reader's own, in modality units, as if it had been set with the sliders."""
    centre, width = own_limits(scan)
    session.window = own_window(_within((low + high) / 2, centre), _within(high - low, width))
    session.window_settings += 1


def choose_preset(session: Session, scan: Scan, low: float, high: float, bent: bool) -> bool:
    """Take the preset that the viewer shows between these ends, in modality units; whether there is one.

    bent: as the preset of a table or a sigmoid is. A window of the reader's own would be a straight line instead.
    """
    from core.scans.viewing import viewer_window

    for preset in scan.presets:
        shown = viewer_window(scan, preset, session.frame)  # as the viewer was told: of the slice that is examined
        if (shown["low"], shown["high"], "table" in shown) == (low, high, bent):
            session.window = preset
            session.window_settings += 1
            return True
    return False
