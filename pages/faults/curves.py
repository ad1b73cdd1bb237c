"""Curves: accuracy over flips, by layer, by bit and under flipped activations; recorded, and measured now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.faults import charts, study
from pages.faults.layers import draw_part
from pages.faults.progress import draw_ending, follow
from pages.faults.recorded import draw_lack, draw_source, open_record
from pages.faults.recorded.guarded import draw_guarded
from pages.faults.state import FaultsState
from pages.faults.words import measured, misses
from pages.shared.records import draw_finding
from pages.shared.visit.stage import draw_chart, on_stage

if TYPE_CHECKING:
    from core.faults.record import FaultRecord
    from pages.shared.session import Session

GUARD = "Guard"
TRIALS = (5, 10, 20, 50)
NAMED_BY = {study.LAYERS: "name", study.ACTIVATIONS: "stage"}
_EXPERT = re.compile(r"^experts\.\d+\.")
AXES = {
    study.FLIPS: "random flips at once, anywhere in the weights",
    study.LAYERS: f"layer; {study.LAYER_FLIPS} random flips at once in its weights",
    study.BITS: "bit position; one random flip",
    study.ACTIVATIONS: "stage; one random flip in what it puts out",
}


def draw_curves(session: Session, state: FaultsState) -> None:
    """Which curve, the recorded one, and the way to measure it now."""
    if not state.measurable:
        st.info(study.NO_LABELS, icon=":material/info:")
        return
    titles = {**study.TITLES, "guard": GUARD}
    how = {"format_func": titles.get, "required": True, "key": "faults-curve", "persist_state": "session"}
    what = st.segmented_control("What", list(titles), default=study.FLIPS, **how) or study.FLIPS
    record = open_record(state.models, state.network)
    if what == "guard":
        draw_guarded(record)
        return
    if what in study.BY_PART:
        draw_part(state)
    first = on_stage() and bool(study.live_rows(state, what))  # a class is shown what comes first
    if first:
        _draw_live(session, state, what)
    st.header("Recorded on validation scans", anchor=False)
    draw_lack(record, what)
    rows = _recorded(record, what, state)
    if rows:
        draw_rows(what, rows, f"recorded-{what}")
        form = "" if what == study.BITS else study.other_form(state)
        draw_source(record.studies[what], f"‘{titles[what]}’", *([f"Recorded {form}."] if form else []))
    if not first:
        _draw_live(session, state, what)


def _recorded(record: FaultRecord, what: str, state: FaultsState) -> list[Any]:
    rows = list(record.rows(what))
    if what == study.BITS:
        return [row for row in rows if row.form == state.form]
    if what in study.BY_PART:
        names = {layer.name for layer in study.shown_layers(state)}
        return [row for row in rows if getattr(row, NAMED_BY[what]) in names]
    return rows


def draw_rows(what: str, rows: list[Any], key: str) -> None:
    """What a study says in one sentence, and its chart."""
    known = [row for row in rows if row.accuracy is not None]
    if not known:
        return
    told = "; ".join(f"{_name(what, row)} {measured(row.accuracy)}" for row in known)
    if what == study.FLIPS:
        line = charts.Line(
            "accuracy", [row.flips for row in known], [row.accuracy for row in known], [row.interval for row in known]
        )
        figure = charts.accuracy_lines([line], AXES[what], [row.flips for row in known])
    else:
        shown = sorted(known, key=lambda row: -row.bit) if what == study.BITS else known
        figure = charts.accuracy_bars(
            [charts.Bar(_tick(what, row), _group(what, row), row) for row in shown], AXES[what]
        )
    worst = min(known, key=lambda row: row.accuracy)
    lowest = f" In the worst trial {measured(worst.worst)} are right." if worst.worst is not None else ""
    draw_finding(
        f"Lowest: **{_name(what, worst)}**, {measured(worst.accuracy)} right "
        f"({misses(worst.accuracy, worst.non_finite)}).{lowest}"
    )
    draw_chart(figure, charts.HEIGHT, key=key, alt=f"Accuracy: {told}")


def _name(what: str, row: Any) -> str:
    if what == study.FLIPS:
        return f"{row.flips} flip" if row.flips == 1 else f"{row.flips} flips"
    return f"bit {row.bit}" if what == study.BITS else getattr(row, NAMED_BY[what])


def _tick(what: str, row: Any) -> str:
    """What stands under a bar: of an expert's layers the expert is said elsewhere."""
    return str(row.bit) if what == study.BITS else _EXPERT.sub("", _name(what, row))


def _group(what: str, row: Any) -> str:
    return row.field if what == study.BITS else ""


def _draw_live(session: Session, state: FaultsState, what: str) -> None:
    st.header("Measured now, on the sample scans", anchor=False)
    doing = study.study_key(state, what)
    running = state.running and state.doing == doing
    # Of the two places one is empty: what was drawn before must not stay, greyed, for as long as a run takes.
    rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    if running:
        with live.container():
            rows = study.live_rows(state, what)
            follow(state, study.TITLES[what], study.UNIT, rows, lambda n: draw_rows(what, rows[:n], f"live-{n}"))
    with rest:
        _draw_start(session, state, what)
        draw_ending(state, doing, study.UNIT)
        if rows := study.live_rows(state, what):
            draw_rows(what, rows, f"done-{what}")
            st.caption(study.about(state, state.studies[doing]))


def _draw_start(session: Session, state: FaultsState, what: str) -> None:
    """How many trials, and the button."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = {"required": True, "key": "faults-trials", "persist_state": "session"}
        trials = st.segmented_control("Trials a point", TRIALS, default=TRIALS[1], **how) or TRIALS[1]
        how = {"icon": ":material/play_arrow:", "type": "primary", "key": f"faults-measure-{what}"}
        if st.button("Measure on these scans", **how):
            study.start_study(session, state, what, trials)
