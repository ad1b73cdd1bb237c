"""Which slice, which window, which classifier and seed: every change is another examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.state import Visit

if TYPE_CHECKING:
    from core import Bundle, Scan, Window

CUSTOM = "Custom"


def draw_slice(visit: Visit, scan: Scan) -> None:
    """A slider over the slices of a volume."""
    if scan.frame_count > 1:
        key = f"slice-{scan.sha256[:12]}"
        chosen = st.slider(f"Slice (1 to {scan.frame_count})", 1, scan.frame_count, visit.frame + 1, key=key)
        visit.frame = min(max(int(chosen), 1), scan.frame_count) - 1


def draw_window(visit: Visit, scan: Scan) -> None:
    """Presets, and two sliders for a window of one's own."""
    if scan.is_colour:
        return
    if scan.exact:
        st.caption("Purescan wrote this file with a fixed window, so that the models see exactly what was written.")
        return
    names = ["VOI LUT of the file" if scan.voi_lut else scan.windows[0].name]
    names += [window.name for window in scan.windows[1:]]
    key = scan.sha256[:12]
    current = visit.window.name if visit.window else names[0]
    index = [*names, CUSTOM].index(current) if current in names else len(names)
    chosen = st.selectbox("Window", [*names, CUSTOM], index, key=f"window-{key}")
    if chosen == CUSTOM:
        visit.window = _own_window(scan, visit.window or scan.windows[0], key)
    else:
        position = names.index(chosen)
        visit.window = scan.windows[position] if position else None
    st.caption("The models see what the window shows: another window is another examination.")


def _own_window(scan: Scan, start: Window, key: str) -> Window:
    from core import Window

    low = min(window.center - window.width / 2 for window in scan.windows)
    high = max(window.center + window.width / 2 for window in scan.windows)
    span = high - low
    step = span / 200
    centre = st.slider("Centre", low, high, start.center, step, key=f"centre-{key}")
    width = st.slider("Width", step, span, min(max(start.width, step), span), step, key=f"width-{key}")
    return Window(centre, width, CUSTOM, "LINEAR_EXACT")


def draw_settings(visit: Visit, bundle: Bundle) -> None:
    """The seed, and the classifier where the bundle has more than one."""
    names = list(bundle.classifiers)
    if len(names) > 1:
        current = visit.classifier or bundle.default_classifier
        visit.classifier = st.selectbox("Classifier", names, names.index(current), key=f"classifier-{bundle.name}")
    seed = st.number_input(
        "Seed", 0, 2**31 - 1, visit.seed, key="seed", help="Draws the detector's and the purifier's noise."
    )
    visit.seed = int(seed)
