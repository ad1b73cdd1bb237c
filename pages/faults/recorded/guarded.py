"""What the guard is worth, as recorded: accuracy with and without it, false alarms, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.guard import GUARDS
from pages.faults.recorded import draw_lack, draw_source
from pages.faults.words import bytes_text, counted_flips, measured
from pages.shared.records import draw_finding
from pages.shared.words import number, plain

if TYPE_CHECKING:
    from core.faults.record import FaultRecord, GuardRow


def draw_guarded(record: FaultRecord) -> None:
    """Three tables: the same damage under each guard, clean runs, cost."""
    st.header("The guard off, detecting, repairing", anchor=False)
    draw_lack(record, "guard")
    rows = record.rows("guard")
    if rows:
        draw_finding(worth(rows))
        st.table(_outcomes(rows), hide_index=True)
        draw_source(
            record.studies["guard"], "the guard’s figures", "A scan that gets no label counts as refused, not as wrong."
        )
    _draw_clean(record)
    _draw_cost(record)


def worth(rows: Sequence[GuardRow]) -> str:
    """What repairing saves where the damage is worst, and whether anything went unnoticed; from the figures."""
    off = [row for row in rows if row.guard == "off" and row.accuracy is not None]
    if not off:
        return "No damage was measured without the guard, so that it can’t be said what the guard saves."
    worst = min(off, key=lambda row: row.accuracy or 0.0)
    same = (row for row in rows if (row.damage, row.flips, row.guard) == (worst.damage, worst.flips, "repair"))
    repaired = next(same, None)
    told = f"The worst damage ({plain(worst.damage)}, {counted_flips(worst.flips)}) leaves {measured(worst.accuracy)}"
    kept = "" if repaired is None or repaired.accuracy is None else f"; repaired, {measured(repaired.accuracy)}"
    alarms = [row.alarms for row in rows if row.guard == "detect"]
    least = f" The guard notices at least {measured(min(alarms))} of the damage." if alarms else ""
    return f"{told}{kept}.{least}"


def _outcomes(rows: tuple[GuardRow, ...]) -> list[dict[str, str]]:
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in rows:
        line = found.setdefault(
            (row.damage, row.flips), {"Damage": f"{plain(row.damage).capitalize()}, {counted_flips(row.flips)}"}
        )
        shown = "no scan answered" if row.accuracy is None else f"{measured(row.accuracy)} right"
        refused = f", {measured(row.refused)} refused" if row.refused else ""
        line[GUARDS.get(row.guard, row.guard)] = shown + (refused if row.accuracy is not None else "")
        if row.guard == "detect":
            line["Alarms"] = f"{measured(row.alarms)} of {row.trials} trials"
    return list(found.values())


def _draw_clean(record: FaultRecord) -> None:
    st.header("False alarms", anchor=False)
    draw_lack(record, "clean_runs")
    for row in record.rows("clean_runs"):
        false = row.weight_alarms + row.range_alarms
        grid = st.grid(3, min_column_width=200)
        grid.metric("Clean runs", f"{row.runs:,}", border=True, help=f"On {row.scans}.")
        grid.metric("False alarms, weights", f"{row.weight_alarms:,}", border=True)
        grid.metric("False alarms, activations", f"{row.range_alarms:,}", border=True)
        st.markdown(f"**{false:,} of {row.runs:,}** runs of the undamaged network raised an alarm.")
    if record.rows("clean_runs"):
        draw_source(record.studies["clean_runs"], "the false alarms")


def _draw_cost(record: FaultRecord) -> None:
    st.header("What it costs", anchor=False)
    draw_lack(record, "cost")
    rows = [
        {
            "Threads": str(row.threads),
            "Check, ms a scan": number(row.check_ms),
            "Activations, ms a scan": number(row.ranges_ms),
            "Check and repair one flip, ms": number(row.repair_ms),
            "Memory": f"{bytes_text(row.bytes)} for {number(row.weight_bytes / 2**20)} MB of weights",
            "A full patrol": f"{row.patrol_scans:,} scans at {row.budget_ms:g} ms each",
        }
        for row in record.rows("cost")
    ]
    if rows:
        st.table(rows, hide_index=True)
        draw_source(record.studies["cost"], "the guard’s cost")
