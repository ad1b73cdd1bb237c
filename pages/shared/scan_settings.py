"""Which slice, window, classifier, seed and thresholds: every change is another examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import profile_in_force
from pages.shared.runtime import bundle
from pages.shared.session import Session, current_session, forget_problem
from pages.shared.words import plain, unbroken

if TYPE_CHECKING:
    from core import Bundle, Scan, Window

CUSTOM = "Custom"
SHIPPED, PROFILE = "As shipped", "Site profile"


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


def draw_settings(session: Session, bundle: Bundle) -> None:
    """The seed, and the classifier where the bundle has more than one that can be asked."""
    names = list(bundle.examining)
    if len(names) > 1:
        current = session.classifier or bundle.default_classifier
        index, key = names.index(current) if current in names else 0, f"classifier-{bundle.name}"
        session.classifier = st.selectbox("Classifier", names, index, key=key, on_change=forget_problem)
    about = "Draws the detector's and the purifier's noise."
    seed = st.number_input("Seed", 0, 2**31 - 1, session.seed, key="seed", help=about, on_change=forget_problem)
    session.seed = int(seed)


def draw_profile(session: Session) -> None:
    """Which thresholds the detector takes: the bundle's, or those of a site's profile."""
    if bundle(session.bundle).lacks:
        return
    known = session.loaded_profile
    # The state is the truth and the widget mirrors it: the Detect page changes the choice as well.
    st.session_state["thresholds"] = PROFILE if session.profile else SHIPPED
    shipped = "None yet" if bundle(session.bundle).lacks_for(session.classifier) else SHIPPED
    st.selectbox(
        "Detector thresholds",
        [SHIPPED, *([PROFILE] if known else [])],
        key="thresholds",
        format_func=lambda choice: f"{PROFILE}, {known.scans} scans" if known and choice == PROFILE else shipped,
        on_change=_thresholds_chosen,
    )
    if session.profile:
        st.caption(_about_profile(session))
    with st.popover("Load a site profile", icon=":material/tune:", width="stretch"):
        st.markdown(
            "A profile holds the thresholds that fit one site’s scans. Make one on the Detect page, under “Your "
            "scanner”, or with `python -m core calibrate`."
        )
        st.file_uploader("Site profile (JSON)", type="json", key="profile-file", on_change=_profile_uploaded)
        if session.profile_problem:
            kept = "The profile that was in use stays in use." if session.profile else "Thresholds stay as shipped."
            st.error(f"{plain(session.profile_problem)} {kept}", icon=":material/error:")


def _about_profile(session: Session) -> str:
    profile = session.profile
    assert profile is not None
    if profile_in_force(session) is None:
        return (
            f"Not in use here: this profile is for the classifier {plain(profile.classifier)} of the bundle "
            f"{plain(profile.bundle)}, so the thresholds are as shipped."
        )
    return f"Fitted on {profile.scans} scans on {profile.made:%-d %B %Y}. {unbroken(profile.promise)}"


def _thresholds_chosen() -> None:
    session = current_session()
    session.choose_profile(session.loaded_profile if st.session_state["thresholds"] == PROFILE else None)
    forget_problem()


def _profile_uploaded() -> None:
    from core.defence.profile import ProfileError, check_profile
    from core.defence.profile_file import read_profile

    session, file = current_session(), st.session_state["profile-file"]
    session.profile_problem = None
    if file is None:
        return
    try:
        profile = read_profile(bytes(file.getbuffer()))
        check_profile(profile, bundle(session.bundle))
        session.choose_profile(profile)
    except ProfileError as error:
        session.profile_problem = str(error)
