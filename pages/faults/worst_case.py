"""Worst case: search for the bits that do the most damage, round by round; and what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.faults import rounds, study
from pages.faults.progress import draw_ending, follow
from pages.faults.recorded import draw_lack, draw_source, open_record
from pages.faults.state import FLIP, SECTION, FaultsState
from pages.faults.words import counted_bits, measured, misses
from pages.shared.pictures import draw_large_number
from pages.shared.visit.stage import on_stage, say
from pages.shared.words import number, plain

if TYPE_CHECKING:
    from core.faults.samples import Samples
    from pages.shared.session import Session

DOING, UNIT = "worst", "rounds"
MOST_BITS = 5
KINDS = {False: "Any flip", True: "Silent: every answer stays a number"}


def draw_worst(session: Session, state: FaultsState) -> None:
    """The live search, and the recorded one beside it."""
    if not state.measurable:
        st.info(study.NO_LABELS, icon=":material/info:")
        return
    st.markdown(
        "Random flips are mostly harmless. An attacker who can choose follows the **gradient** to the single bit that "
        "does the most damage, keeps it flipped, and looks for the next."
    )
    halves = st.grid(2, min_column_width=320, gap="medium")
    with halves.cell():
        _draw_live(session, state)
    with halves.cell():
        _draw_recorded(state)


def _draw_live(session: Session, state: FaultsState) -> None:
    st.header("Search now, on the sample scans", anchor=False)
    running = state.running and state.doing == DOING
    # Of the two places one is empty: what was drawn before must not stay, greyed, for as long as a run takes.
    rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    if running:
        with live.container():
            follow(state, "Searching", UNIT, state.search, lambda _: draw_steps(state))
    with rest:
        _draw_start(session, state)
        draw_ending(state, DOING, UNIT)
        draw_steps(state)
        if state.search:
            about = (
                "Goes to section Flip, to the last of these bits, with what they do to your scan and to the samples."
            )
            how = {"icon": ":material/bolt:", "key": "faults-take", "help": about}
            st.button("Flip these bits in my network", on_click=_take, args=(state,), **how)


def _draw_start(session: Session, state: FaultsState) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = {"required": True, "key": "faults-budget", "persist_state": "session"}
        budget = st.segmented_control("Bits at most", range(1, MOST_BITS + 1), default=3, **how) or 3
        about = "Only flips after which every answer is a number: nothing but the labels tells of the damage."
        silent = st.toggle("Silent only", key="faults-silent", help=about, persist_state="session")
    if st.button("Search", icon=":material/search:", type="primary", key="faults-search", shortcut="Alt+S"):
        batch = study.samples_of(state)
        if batch is None:
            st.info(study.NO_SAMPLES, icon=":material/info:")
            return
        begin_search(state, batch, budget, silent, session.seed)
        st.rerun()


def begin_search(state: FaultsState, batch: Samples, budget: int, silent: bool, seed: int) -> None:
    """Search in the background; what an earlier search found is dropped."""
    state.search = []
    state.start(_steps(state, state.search, batch, budget, silent, seed), doing=DOING, total=budget)


def _steps(
    state: FaultsState, found: list[Any], batch: Samples, budget: int, silent: bool, seed: int
) -> Iterator[None]:
    from core.faults import worst_case_steps

    how = {"budget": budget, "silent": silent, "form": state.form, "seed": seed}
    for step in worst_case_steps(state.module, batch.pixels, batch.labels, **how):
        found.append(step)
        yield


def _take(state: FaultsState) -> None:
    state.flips = [step.fault for step in state.search]
    fault = state.flips[-1]
    state.form = fault.form
    state.look_at(fault.tensor, fault.index)
    st.session_state[SECTION] = FLIP


def draw_steps(state: FaultsState) -> None:
    """The accuracy after the last round, and every round."""
    from core.faults import FORMATS

    steps = list(state.search)
    if not steps:
        return
    last = steps[-1]
    many = counted_bits(len(steps))
    if on_stage():
        say(rounds.left(last))
        rounds.draw_rounds({"found now": steps}, f"live-{len(steps)}")
    st.markdown(f"**Accuracy with {many} flipped**")
    draw_large_number(measured(last.accuracy), f"Accuracy with {many} flipped: {measured(last.accuracy)}", room=9)
    st.markdown(f"Not right: {misses(last.accuracy, last.non_finite)}.")
    lines = []
    for step in steps:
        fault = step.fault
        place = _place(step.index, fault.tensor, fault.index, fault.bit, FORMATS[fault.form].field(fault.bit))
        lines.append(
            f"{place}: accuracy **{measured(step.accuracy)}** ({misses(step.accuracy, step.non_finite)}), the worst "
            f"of {step.tried:,} tried"
        )
    st.markdown("\n".join(lines))
    st.caption("Measured now, on the sample scans.")


def _place(index: int, tensor: str, element: int, bit: int, field: str) -> str:
    """A round as an item of a list: names of tensors are too long for a table."""
    return f"{index + 1}. {plain(tensor)}, number {element:,}, bit {bit} ({field})"


def _draw_recorded(state: FaultsState) -> None:
    st.header("Recorded on validation scans", anchor=False)
    record = open_record(state.models, state.network)
    draw_lack(record, "worst_case")
    rows = record.rows("worst_case")
    by_kind = {title: [row for row in rows if row.silent == silent] for silent, title in KINDS.items()}
    by_kind = {title: found for title, found in by_kind.items() if found}
    if by_kind:
        worst = min((found[-1] for found in by_kind.values()), key=lambda row: row.accuracy)
        say(rounds.left(worst))
        rounds.draw_rounds(by_kind, "recorded")
    for title, shown in by_kind.items():
        seconds = number(sum(row.seconds for row in shown))
        st.markdown(
            f"**{title}**: accuracy {measured(shown[-1].accuracy)} by {counted_bits(len(shown))} "
            f"({misses(shown[-1].accuracy, shown[-1].non_finite)}), found in {seconds} s"
        )
        lines = [
            f"{_place(row.index, row.tensor, row.element, row.bit, row.field)}: accuracy **{measured(row.accuracy)}**; "
            f"the guard {_guard(row)}"
            for row in shown
        ]
        st.markdown("\n".join(lines))
    if rows:
        draw_source(record.studies["worst_case"], "the worst flips")


def _guard(row: Any) -> str:
    return ("sees it" if row.detected else "does not see it") + (" and repairs it" if row.repaired else "")
