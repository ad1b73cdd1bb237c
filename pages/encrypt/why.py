"""Why bother: what a curious server recovers of a scan from what a hospital sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.encrypt.cohort import draw_lack
from pages.encrypt.stages import draw_scan_to_class
from pages.shared import job_status
from pages.shared.jobs import watch
from pages.shared.visit.stage import say, staged
from pages.shared.words import decibels, kilobytes

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.evaluation.encrypted import EncryptionRecord
    from core.federation.leaks.inversion import Quality
    from core.federation.leaks.leak import Leak
    from pages.encrypt.state import EncryptState

TITLES = {
    "gradient": "Its gradient",
    "float16 gradient": "In 16 bits",
    "noisy gradient": "With noise",
    "token": "Its token",
    "encrypted token": "Its token, encrypted",
}
ABOUT = {
    "gradient": (
        "A hospital that trains together with others sends the gradient of its scans. For a transformer the scan "
        "follows from it in closed form (APRIL, Lu et al. 2022)."
    ),
    "float16 gradient": "The same, rounded to 16 bits a number, as gradients are often sent.",
    "noisy gradient": "The same with a little noise on every number, a first step towards differential privacy.",
    "token": "The 768 numbers of the class token in the clear: a search for a scan that has the same token.",
    "encrypted token": (
        "What the server sees of an encrypted token is noise to it. It can take these bytes for numbers and search for "
        "a scan that has such a token."
    ),
}
FIRST = "What does a hospital give away that sends no scan, but what was computed from it? **Space** tries it."
SEED = 0


def draw_why(state: EncryptState, record: EncryptionRecord | None) -> None:
    """What is sent, the attack on it, and what crosses in a round."""
    from core.federation.leaks.leak import WHAT

    what = st.segmented_control(
        "Sent", list(WHAT), default=WHAT[0], format_func=TITLES.get, required=True, key="leak-what"
    )
    st.markdown(ABOUT[what])
    running = state.running and state.doing == what
    buttons = st.container(horizontal=True)
    label = "Recover the scan"
    if buttons.button(
        label, icon=":material/visibility:", type="primary", key="leak", shortcut="Alt+V", disabled=running
    ):
        state.attack(what, SEED)
        st.rerun()
    if running:
        buttons.button("Stop", icon=":material/stop:", on_click=state.stop, key="leak-stop", shortcut="Esc")
        place = st.empty()
        watch(state.job, lambda: _draw_live(state, what, place))
        st.rerun()
    if state.doing == what and state.job:
        job_status.draw_job_status(state, doing=what)
    draw_leak(state, state.leaks.get(what))
    draw_compared(state)
    draw_crossing(record)


def _draw_live(state: EncryptState, what: str, place: DeltaGenerator) -> None:
    with place.container():
        draw_leak(state, state.leaks.get(what))


def draw_leak(state: EncryptState, leak: Leak | None) -> None:
    """The scan, what was recovered, and how much of it that shows."""

    outline = state.before.frame.shape, state.before.spacing
    if leak is None:
        if draw_scan_to_class(state, FIRST):
            return
    else:
        say(f"The scan, recovered from what was sent: **{decibels(leak.quality.psnr)}** PSNR, {_kept(leak)}.")
    with staged():
        _draw_leak(state, leak, outline)


def _kept(leak: Leak) -> str:
    return f"SSIM {leak.quality.ssim:.2f}, where 1 is the scan itself"


def _draw_leak(state: EncryptState, leak: Leak | None, outline: tuple) -> None:
    from core.explanation import overlays

    grid = st.grid(3, min_column_width=240, gap="medium")
    grid.image(
        overlays.model_png(state.before.pixels, *outline),
        "The scan, which stays",
        "stretch",
        output_format="PNG",
        alt="The scan",
    )
    if leak is None:
        return
    about = f"Recovered, step {leak.index + 1}"
    picture = overlays.model_png(leak.estimate, *outline)
    grid.image(picture, about, "stretch", output_format="PNG", alt=f"Recovered scan, {decibels(leak.quality.psnr)}")
    with grid.cell():
        st.metric("PSNR", decibels(leak.quality.psnr), border=True)
        st.metric("SSIM", f"{leak.quality.ssim:.3f}", border=True)
        st.metric("NMI", f"{leak.quality.nmi:.3f}", border=True)
        st.caption(f"From {kilobytes(leak.sent / 1000)}, after {leak.seconds:.1f} s.")


def draw_compared(state: EncryptState) -> None:
    """All that was tried on this scan, beside the paper's figures."""
    from core.federation.leaks.inversion import PAPER

    if not state.leaks:
        return
    st.header("What each gives away", anchor=False)
    rows = [{"Sent": TITLES[what]} | _figures(leak.quality) for what, leak in state.leaks.items()]
    if state.guess:
        rows.append({"Sent": "Nothing: the mean of the other samples whose class is known"} | _figures(state.guess))
    paper = {"Sent": "Gradient, in the paper"} | _figures(PAPER)
    st.table([*rows, paper], hide_index=True)
    st.caption(
        "PSNR and SSIM to the scan as the network sees it; NMI is 0 where two pictures share nothing and 1 where all."
    )


def _figures(found: Quality) -> dict[str, str]:
    return {"PSNR": decibels(found.psnr), "SSIM": f"{found.ssim:.3f}", "NMI": f"{found.nmi:.3f}"}


def draw_crossing(record: EncryptionRecord | None) -> None:
    """What a hospital sends in one round, in each way."""
    st.header("What crosses in a round", anchor=False)
    if record is None:
        draw_lack()
        return
    crossing = record.communication
    rows = [
        {"Sent by one hospital for one scan": title, "KB": f"{crossing[key]:,.0f}"}
        for key, title in (
            ("gradients_plain", "All gradients, in the clear"),
            ("gradients_encrypted", "All gradients, encrypted"),
            ("head_gradients_encrypted", "The gradients of the linear head alone, encrypted"),
            ("token_encrypted", "The token, encrypted"),
        )
    ]
    st.table(rows, hide_index=True)
    times = crossing["gradients_encrypted"] / crossing["token_encrypted"]
    st.caption(f"Encrypted tokens are {times:,.0f} times smaller than encrypted gradients; in the paper 30 times.")
