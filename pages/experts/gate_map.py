"""The map of gates: every calibration scan's gate vector in a plane, clean and attacked, with this scan in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.experts.gate_map_chart import HEIGHT, Cloud, gate_map
from pages.experts.state import ExpertsState
from pages.shared.charts import CONFIG
from pages.shared.words import SPLITS, plain, weight_text

if TYPE_CHECKING:
    from core import Bundle
    from core.explanation.gates import GateRecord, Projection

METHODS = {"fgsm": "FGSM", "pgd": "PGD"}
FIRST_EPS = "8/255"
PLANE = (
    "A gate vector is the list of one scan’s weights; the principal components are the two directions in which these "
    "lists differ most, so that this flat picture loses as little as can be."
)
MISSING = (
    "The gates of the calibration scans are not recorded for this mixture and its weights of today; "
    "run `python -m training.measure.gates --data FILE` to record them."
)


def draw_map(models: Bundle, mixture: str, state: ExpertsState | None) -> None:
    """Which ε, the map, and the mean weights."""
    from core.explanation.gates import gate_projection, read_gates

    st.header("Whom the gate trusts, scan by scan", anchor=False)
    record = read_gates(models, mixture)
    if record is None:
        st.info(MISSING, icon=":material/info:")
        return
    strengths = sorted({name.split(" ")[1] for name in record.conditions if " " in name}, key=_eps)
    how = {"required": True, "key": "map-eps", "persist_state": "session"}
    default = FIRST_EPS if FIRST_EPS in strengths else strengths[-1] if strengths else None
    eps = st.segmented_control("Attacks of ε =", strengths, default=default, **how) if strengths else None
    conditions = {"clean": "Clean"} | {
        f"{method} {eps}": f"{name} {eps}" for method, name in METHODS.items() if f"{method} {eps}" in record.conditions
    }
    projection = gate_projection(record)
    _draw_scatter(models, record, projection, conditions, state)
    _draw_means(models, mixture, record, conditions)
    split = plain(SPLITS.get(record.split, record.split))
    st.caption(f"n = {len(record.labels)} scans, {split} split, mixture {plain(mixture)}. The attacks know its gate.")
    st.caption(f"Made by `{record.command.replace('`', '')}`")


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


def _draw_means(models: Bundle, mixture: str, record: GateRecord, conditions: dict[str, str]) -> None:
    st.subheader("Mean weight of each expert", anchor=False)
    means = {title: record.mean(name) for name, title in conditions.items()}
    rows = [
        {"Expert": plain(expert.name)} | {title: weight_text(mean[place]) for title, mean in means.items()}
        for place, expert in enumerate(models.experts(mixture))
    ]
    st.table(rows, hide_index=True)
