"""Stress and benign changes: the recorded scans in charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect import charts
from pages.detect.benign_chart import benign_bars, benign_height
from pages.detect.findings import benign_told, stress_told
from pages.detect.record import Record, draw_source, operating_point_of
from pages.shared.records import draw_finding
from pages.shared.records.figures import condition_title, count_text, full_text, share_text
from pages.shared.visit.stage import draw_chart
from pages.shared.words import PURIFIES_NOTHING, method_title, plain

if TYPE_CHECKING:
    from core.evaluation.operating_points import Condition

STRESSED = "pgd"
STRESS_EPS = (0.5, 1, 2, 4, 8, 16)
KEPT = (
    "Label kept: of the purified scans that were not refused, those whose answer is still what the classifier had said "
    "before. Turned wrong, turned right: of the same scans, those whose answer was right before and is wrong now, and "
    "the other way round."
)


def draw_stress(record: Record) -> None:
    """Accuracy and detection over the strength of the attack."""
    known = {entry.strength: entry for entry in record.attacks if _stresses(entry)}
    missing = [f"{eps:g}/255" for eps in STRESS_EPS if eps not in known]
    if missing:
        st.info(f"Not recorded of this classifier: PGD at ε = {', '.join(missing)}.", icon=":material/info:")
    if not known:
        return
    strengths = sorted(known)
    costs = [operating_point_of(record, known[eps].name) for eps in strengths]
    draw_finding(stress_told(dict(zip(strengths, costs))))
    named: tuple[tuple[str, str], ...] = (
        ("undefended accuracy", "undefended_attacked"),
        ("defended accuracy", "defended_attacked"),
        ("flagged", "flagged"),
    )
    named += (("altered", "altered"),) if all(cost.altered for cost in costs) else ()
    lines = [charts.Line(title, strengths, [getattr(cost, name) for cost in costs]) for title, name in named]
    draw_chart(
        charts.stress_chart(lines),
        charts.HEIGHT,
        key="stress",
        alt="Undefended accuracy, defended accuracy and share flagged over ε of PGD",
    )
    rows = [
        {"ε": f"{eps:g}/255"} | {line.title.capitalize(): full_text(line.shares[place]) for line in lines}
        for place, eps in enumerate(strengths)
    ]
    with st.expander("All figures over ε", icon=":material/table:"):
        st.table(rows, hide_index=True)
    draw_source(
        record,
        "The attacker knows the classifier, and nothing about the defence. A refusal counts as wrong.",
        shown=[entry.name for entry in known.values()],
    )


def _stresses(entry: Condition) -> bool:
    return entry.method == STRESSED and entry.name.endswith("/255")


def draw_benign(record: Record) -> None:
    """What the detector makes of changes that nobody meant ill by."""
    from core.defence.fitting import FALSE_ALARM_BUDGET

    st.markdown(
        "Scanners, cameras and file formats change scans, too. Such a change should not be called an attack; and "
        "where it is, the label should stay as it was."
    )
    rows = []
    costs = [operating_point_of(record, entry.name) for entry in record.benign]
    for entry, cost in zip(record.benign, costs):
        rows.append(
            {
                "Change": method_title(entry.method),
                "Severity": f"{entry.strength:g}",
                "Flagged": f"{count_text(cost.flagged)}: {full_text(cost.flagged)}",
                **({"Altered": f"{count_text(cost.altered)}: {full_text(cost.altered)}"} if cost.altered else {}),
                "Label kept": count_text(cost.label_kept),
                "Turned wrong": f"{cost.turned_wrong}",
                "Turned right": f"{cost.turned_right}",
                "Undefended accuracy": full_text(cost.undefended_attacked),
                "Defended accuracy": full_text(cost.defended_attacked),
            }
        )
    if rows:
        draw_finding(benign_told(list(zip(record.benign, costs)), FALSE_ALARM_BUDGET))
        names = [condition_title(entry) for entry in record.benign]
        draw_chart(
            benign_bars(names, [cost.flagged for cost in costs], FALSE_ALARM_BUDGET),
            benign_height(len(names)), key="benign",
            alt="Scans flagged after benign changes: "
            + "; ".join(f"{name} {share_text(cost.flagged)}" for name, cost in zip(names, costs)),
        )  # fmt: skip
        with st.expander("All figures of the benign changes", icon=":material/table:"):
            st.table(rows, hide_index=True)
    missing = [
        method_title(name) for name in record.bundle.benign if name not in {entry.method for entry in record.benign}
    ]
    if missing:
        st.info(f"Not recorded of this classifier: {plain(', '.join(missing))}.", icon=":material/info:")
    purifies = record.bundle.limits[record.classifier].purifies
    draw_source(record, KEPT if purifies else PURIFIES_NOTHING, shown=[entry.name for entry in record.benign])
