"""The map of gates: every calibration scan's gate vector in a plane, clean and attacked, with this scan in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.experts.findings import moved_on_average, points
from pages.experts.gate_map_chart import HEIGHT, SHIFT_HEIGHT, Cloud, gate_map, shift_bars
from pages.experts.state import ExpertsState
from pages.shared.charts import CONFIG
from pages.shared.records import draw_command, draw_finding, draw_unrecorded
from pages.shared.visit.stage import draw_chart
from pages.shared.words import SPLITS, percent, plain

if TYPE_CHECKING:
    from core import Bundle
    from core.explanation.gates import GateRecord, Projection

METHODS = {"fgsm": "FGSM", "pgd": "PGD"}
FIRST_EPS = "8/255"
PLANE = (
    "A gate vector is the list of one scan’s weights; the principal components are the two directions in which these "
    "lists differ most, so that this flat picture loses as little as can be."
)
MISSING = "The gates of the calibration scans are not recorded for this mixture and its weights of today."
COMMAND = "python -m training.measure.gates --data FILE --bundle {}"


def draw_map(models: Bundle, mixture: str, state: ExpertsState | None) -> None:
    """Which ε, the map, and the mean weights."""
    from core.explanation.gates import gate_projection, read_gates

    st.header("Whom the gate trusts, recorded", anchor=False)
    record = read_gates(models, mixture)
    if record is None:
        draw_unrecorded(MISSING, COMMAND.format(models.name))
        return
    strengths = sorted({name.split(" ")[1] for name in record.conditions if " " in name}, key=_eps)
    how = {"required": True, "key": "map-eps", "persist_state": "session"}
    default = FIRST_EPS if FIRST_EPS in strengths else strengths[-1] if strengths else None
    eps = st.segmented_control("Attacks of ε =", strengths, default=default, **how) if strengths else None
    conditions = {"clean": "Clean"} | {
        f"{method} {eps}": f"{name} {eps}" for method, name in METHODS.items() if f"{method} {eps}" in record.conditions
    }
    names = [expert.name for expert in models.experts(mixture)]
    attacks = {name: title for name, title in conditions.items() if name != "clean"}
    if attacks:
        draw_finding(moved_on_average(record, tuple(attacks.items()), names))
        _draw_shifts(record, attacks, names)
    projection = gate_projection(record)
    st.subheader("Scan by scan", anchor=False)
    _draw_scatter(models, record, projection, conditions, state)
    _draw_means(record, conditions, names)
    split = plain(SPLITS.get(record.split, record.split))
    st.caption(f"n = {len(record.labels)} scans, {split} split, mixture {plain(mixture)}. The attacks know its gate.")
    draw_command(record.command)


def _eps(strength: str) -> float:
    return float(strength.split("/")[0])


def _draw_scatter(
    models: Bundle, record: GateRecord, projection: Projection, conditions: dict[str, str], state: ExpertsState | None
) -> None:
    clouds = []
    for kind, (condition, title) in enumerate(conditions.items()):
        places = projection.place(record.conditions[condition])
        for label, name in enumerate(models.classes):
            chosen = [place for place, truth in enumerate(record.labels) if truth == label]
            clouds.append(Cloud(f"{title}, {name}", places[chosen], kind, label))
    here = []
    if state:
        outputs = {stage: view.output for stage, view in state.stages.items()}
        places = projection.place([output.weights for output in outputs.values()])
        here = [(stage.lower(), *place) for stage, place in zip(outputs, places.tolist())]
    axes = tuple(
        f"{name} principal component ({100 * share:.0f} % of the variance)"
        for name, share in zip(("first", "second"), projection.explained)
    )
    where = "this scan is in it, as a diamond" if here else "no scan is on the table"
    st.plotly_chart(
        gate_map(clouds, here, axes), height=HEIGHT, config=CONFIG, key="gate-map",
        alt=f"Gate vectors of {len(record.labels)} scans in two dimensions, {', '.join(conditions.values())}; {where}",
    )  # fmt: skip
    classes = " and ".join(f"{'filled' if place else 'open'}: {name}" for place, name in enumerate(models.classes))
    st.markdown(
        f"Each point is one scan’s gate vector. Points that lie together trust the same experts ({classes}).",
        help=PLANE,
    )


def _draw_shifts(record: GateRecord, attacks: dict[str, str], names: list[str]) -> None:
    st.subheader("How far attacks move the gate, on average", anchor=False)
    shifts = {title: record.shift(condition) for condition, title in attacks.items()}
    told = "; ".join(
        f"{title}: {', '.join(f'{name} {points(value)}' for name, value in zip(names, shift))}"
        for title, shift in shifts.items()
    )
    draw_chart(
        shift_bars(names, shifts), SHIFT_HEIGHT, key="gate-shifts",
        alt=f"Change of each expert’s mean weight, in points. {told}",
    )  # fmt: skip


def _draw_means(record: GateRecord, conditions: dict[str, str], names: list[str]) -> None:
    means = {title: record.mean(condition) for condition, title in conditions.items()}
    rows = [
        {"Expert": plain(name)} | {title: percent(mean[place]) for title, mean in means.items()}
        for place, name in enumerate(names)
    ]
    with st.expander("Mean weight of each expert, in figures", icon=":material/table:"):
        st.table(rows, hide_index=True)
