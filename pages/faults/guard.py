"""The guard's switch, and what it saw and did before the scan was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.words import bytes_text
from pages.shared.words import number, plain

if TYPE_CHECKING:
    from core.faults import BundleScrubber
    from core.faults.guard import Guard
    from core.faults.view import GuardReport
    from pages.faults.state import FaultsState

GUARDS = {"off": "Off", "detect": "Detect", "repair": "Repair"}
MEANING = {
    "off": "Nothing looks after the memory.",
    "detect": "Damage raises an alarm, and the scan gets no answer.",
    "repair": "Damaged numbers are put right before the scan is answered.",
}
OUTCOMES = {
    "corrected": "put right in memory, from its code",
    "reloaded": "loaded again from its file",
    "code renewed": "sound; its code was damaged and has been made anew",
    "beyond repair": "beyond repair",
}
SHOWN = 6


def draw_switch(state: FaultsState) -> None:
    """Ask what the guard may do."""
    key = f"faults-guard-{state.bundle}-{state.network}"
    how = {"default": state.guard, "format_func": GUARDS.get, "required": True, "key": key}
    state.guard = st.segmented_control("Guard", list(GUARDS), **how) or state.guard
    st.caption(MEANING[state.guard])


def draw_watch(state: FaultsState, watch: GuardReport | None, guard: Guard | None) -> None:
    """What it saw, what became of it, and what that took."""
    if state.guard == "off":
        if state.flips:
            st.warning("The guard is off: nobody notices the damage.", icon=":material/visibility_off:")
        return
    if watch is None:
        st.success("Nothing is flipped, and the guard sees nothing.", icon=":material/shield:")
    elif not watch.alarm:
        st.warning("The guard sees no damage, although bits are flipped.", icon=":material/warning:")
    elif not watch.repairs:
        st.error(f"Alarm: {_seen(watch)}. The scan gets no answer.", icon=":material/notifications_active:")
    else:
        _draw_repair(watch)
    if watch:
        repair = f", repaired in {_ms(watch.repaired_ms)}" if watch.outcomes else ""
        st.caption(f"Checked in {_ms(watch.checked_ms)}{repair}, on this machine as busy as it is.")
    if guard:
        limits = f" Activations are held to limits learned on {guard.ranges.n} scans." if guard.ranges else ""
        st.caption(f"Its codes take {bytes_text(guard.bytes)} of memory.{limits}")


def draw_scrubber(scrubber: BundleScrubber | None) -> None:
    """How the memory of the networks that everybody shares is looked after, and what was found in it."""
    if scrubber is None:
        return
    rounds = "once" if scrubber.rounds == 1 else f"{scrubber.rounds:,} times"
    st.caption(
        f"The networks of {scrubber.bundle} that everybody shares are under guard as well: their files were checked "
        f"against their SHA-256 when they were loaded, and all {scrubber.tensors:,} tensors in memory {rounds} since."
    )
    found = [f"{plain(f.network)}, {plain(f.tensor)}: {OUTCOMES[f.outcome]}" for f in scrubber.findings[-SHOWN:]]
    if found:
        st.warning(f"Damage was found in their memory. {'; '.join(found)}.", icon=":material/memory:")


def _ms(time: float) -> str:
    return f"{number(time)} ms"


def _draw_repair(watch: GuardReport) -> None:
    whole = "beyond repair" not in watch.outcomes.values()
    text = f"Seen: {_seen(watch)}."
    if watch.outcomes:
        known = list(watch.outcomes.items())
        told = [f"{plain(name)} was {OUTCOMES.get(outcome, outcome)}" for name, outcome in known[:SHOWN]]
        more = [f"{len(known) - SHOWN} more likewise"] if len(known) > SHOWN else []
        text += f" {'; '.join([*told, *more])}."
    if watch.stages:
        text += " What left the limits was cut to them."
    (st.success if whole else st.error)(text, icon=":material/build:" if whole else ":material/error:")


def _seen(watch: GuardReport) -> str:
    parts = []
    if watch.damaged:
        parts.append("damage in 1 tensor" if len(watch.damaged) == 1 else f"damage in {len(watch.damaged)} tensors")
    if watch.stages:
        named = ", ".join(plain(stage) for stage in watch.stages[:SHOWN])
        parts.append(f"values out of range after {named}")
    return " and ".join(parts)
