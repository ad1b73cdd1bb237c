"""Which slice, which window, which classifier and seed: every change is another examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.session import Session, forget_problem

if TYPE_CHECKING:
    from core import Bundle, Scan, Window

CUSTOM = "Custom"


def draw_slice(session: Session, scan: Scan) -> None:
    """A slider over the slices of a volume."""
    if scan.frame_count > 1:
        key = f"slice-{scan.sha256[:12]}"
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
    windows = [None, *(scan.windows if scan.voi_lut else scan.windows[1:])]
    first = "VOI LUT of the file" if scan.voi_lut else scan.windows[0].name
    labels = _distinct([first, *(window.name for window in windows if window), CUSTOM])
    current = windows.index(session.window) if session.window in windows else len(windows)
    key = scan.sha256[:12]
    chosen = st.selectbox(
        "Window", range(len(labels)), current, labels.__getitem__, key=f"window-{key}", on_change=forget_problem
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
    from core import Window

    start = start or scan.windows[0]
    low = min(window.center - window.width / 2 for window in scan.windows)
    high = max(window.center + window.width / 2 for window in scan.windows)
    span = high - low
    step = span / 200
    centre = st.slider("Centre", low, high, start.center, step, key=f"centre-{key}", on_change=forget_problem)
    width = min(max(start.width, step), span)
    width = st.slider("Width", step, span, width, step, key=f"width-{key}", on_change=forget_problem)
    return Window(centre, width, CUSTOM, "LINEAR_EXACT")


def draw_settings(session: Session, bundle: Bundle) -> None:
    """The seed, and the classifier where the bundle has more than one that can be asked."""
    names = list(bundle.classifiers if bundle.lacks else bundle.limits)
    if len(names) > 1:
        current = session.classifier or bundle.default_classifier
        index, key = names.index(current) if current in names else 0, f"classifier-{bundle.name}"
        session.classifier = st.selectbox("Classifier", names, index, key=key, on_change=forget_problem)
    about = "Draws the detector's and the purifier's noise."
    seed = st.number_input("Seed", 0, 2**31 - 1, session.seed, key="seed", help=about, on_change=forget_problem)
    session.seed = int(seed)
