"""A small federation between real processes, now: three invented hospitals, a server, and a node to be ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.federate.state import FederateState
from pages.shared import job_status
from pages.shared.records import draw_finding
from pages.shared.visit.stage import say, staged
from pages.shared.words import kilobytes, plain

if TYPE_CHECKING:
    from typing import Any

FIRST = "What becomes of a round when a hospital’s machine goes down? **Space** starts a federation of three."
ABOUT = (
    "Starts a server, a coordinator and three sites as processes of their own on this machine, over TLS, on "
    "[Flower](https://flower.ai). Their scans are made up, an oval with a bright spot where there is a tumour, each as "
    "its site’s scanner shows it. Three rounds of FedAvg take about a minute."
)


def draw_live(state: FederateState) -> None:
    """Start, Stop, a button a node, and the rounds that were held."""
    from core.federation.flower import check_installed

    st.markdown(ABOUT)
    try:
        check_installed()
    except ValueError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    with st.container(horizontal=True):
        how = {"icon": ":material/play_arrow:", "type": "primary", "key": "federate-start", "disabled": state.running}
        st.button("Start a federation", on_click=state.begin, **how)
        if state.running:
            job_status.draw_stop(state, "federate-stop")
    if state.running:
        _draw_nodes(state)
        # Its processes train on whoever looks, and others wait for their turn: it can't be paused.
        job_status.follow(state, lambda: _progress(state), lambda count: draw_rounds(state), can_wait=False)
        st.rerun()
    job_status.draw_job_status(state, f" after {_counted(len(_trained(state)))}")
    if state.rounds:
        draw_rounds(state)
    else:
        say(FIRST)
        with staged():
            _draw_scans()


def _draw_scans() -> None:
    """One made-up scan as each site's scanner shows it."""
    from core.explanation import overlays
    from core.federation.flower.rehearsal import SIDE, example_scans

    scans = example_scans()
    grid = st.grid(len(scans), min_column_width=150, gap="medium")
    for name, pixels in scans.items():
        picture = overlays.model_png(pixels, (SIDE, SIDE))
        grid.image(picture, plain(name), "stretch", output_format="PNG", alt=f"A made-up scan as {name} shows it")


def _draw_nodes(state: FederateState) -> None:
    from core.federation.flower.rehearsal import NAMES

    with st.container(horizontal=True):
        for place, name in enumerate(NAMES):
            st.button(
                f"End {name}", icon=":material/power_off:", key=f"federate-kill-{place}", on_click=state.kill,
                args=(name,),
            )  # fmt: skip

    st.caption("Ends a site’s process at once, as a power cut would; it is started again some seconds later.")


def _progress(state: FederateState) -> job_status.Progress:
    done, total = len(state.rounds), state.total
    assert state.rehearsal
    processes = len(state.rehearsal.running())
    if not done:
        text = f"Starting: {processes} of 5 processes"
    elif done < total - 1:
        text = f"Round {done + 1} of {total - 1}"
    else:
        text = "Handing out the result"
    return job_status.Progress(done, total, text)


def draw_rounds(state: FederateState) -> None:
    """Who took part in each round, and who didn't."""
    if state.rounds:
        draw_finding(told(state))
        with staged():
            st.table([_row(each) for each in state.rounds], hide_index=True)
    if state.killed:
        st.markdown(killed_so_far(state))


def killed_so_far(state: FederateState) -> str:
    """Whom the visitor ended, and of whom that has been noticed as often as it was done."""
    killed = list(dict.fromkeys(state.killed))
    noticed = [name for name in killed if state.ended.count(name) >= state.killed.count(name)]
    rest = [name for name in killed if name not in noticed]
    said = [f"You ended: **{', '.join(map(plain, killed))}**."]
    for what, names in (("Noticed, and started again", noticed), ("Not noticed yet", rest)):
        if names:
            said.append(f"{what}: {', '.join(map(plain, names))}.")
    return " ".join(said)


def told(state: FederateState) -> str:
    """How far it is, and whether a round went on without somebody."""
    held = _trained(state)
    without = [(each["number"] + 1, name) for each in held for name in _absent(each)]
    sentence = f"**{_counted(len(held))}** held between real processes"
    if without:
        number, name = without[-1]
        return f"{sentence}; round {number} went on **without {plain(name)}**."
    return f"{sentence}; every site took part."


def _trained(state: FederateState) -> list[dict[str, Any]]:
    return [each for each in state.rounds if each["phase"] == "experts"]


def _absent(held: dict[str, Any]) -> dict[str, str]:
    """Who took no part in a round, and why; a site that wasn't there when it began wasn't asked."""
    from core.federation.flower.rehearsal import NAMES

    away = {name: "It wasn’t connected yet." for name in NAMES if name not in held["took_part"]}
    return away | held["absent"]


def _counted(rounds: int) -> str:
    return "1 round" if rounds == 1 else f"{rounds} rounds"


def _row(held: dict[str, Any]) -> dict[str, str]:
    absent = "; ".join(f"{plain(name)}: {plain(why)}" for name, why in _absent(held).items())
    return {
        "Round": str(held["number"] + 1) if held["phase"] == "experts" else "Result, handed out",
        "Took part": ", ".join(map(plain, held["took_part"])),
        "Did not": absent or "–",
        "Seconds": f"{held['seconds']:.1f}",
        "To each": kilobytes(held["bytes_down"] / 1000),
        "From all": kilobytes(held["bytes_up"] / 1000),
    }
