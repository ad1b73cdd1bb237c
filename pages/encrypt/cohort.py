"""Many scans asked about: does the server's answer stay the one in the clear?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from pages.encrypt import controls
from pages.encrypt.controls import HEADS, chosen_preset, chosen_server
from pages.encrypt.state import COHORT
from pages.shared import job_status
from pages.shared.charts import BACKGROUNDS, finished, palette, theme
from pages.shared.jobs import watch
from pages.shared.records import draw_command, draw_finding, draw_unrecorded
from pages.shared.visit.stage import draw_chart, progress_place
from pages.shared.words import heading, kilobytes, number, percent, plain

if TYPE_CHECKING:
    from core.evaluation.encrypted import EncryptionRecord, Summary
    from core.federation.configurations import Measured
    from pages.encrypt.state import EncryptState
    from pages.shared.session import Session

MEASURE_TITLES = {"accuracy": "Accuracy", "f1": "F1", "precision": "Precision", "recall": "Recall"}


def draw_live(session: Session, state: EncryptState) -> None:
    """Ask about the bundle's sample scans whose class is known now, with progress and Stop."""
    asking = state.running and state.doing == COHORT
    st.header("The sample scans, now", anchor=False)
    controls.draw_controls(session, state, asking)
    label = "Ask about every sample scan whose class is known"
    if st.button(label, icon=":material/lock:", type="primary", key="encrypt-cohort", disabled=asking):
        try:
            state.ask_samples(session.head, chosen_preset(session, state), chosen_server(session))
        except ValueError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            st.rerun()
    if asking:
        st.button("Stop", icon=":material/stop:", on_click=state.stop, key="encrypt-stop", shortcut="Esc")
        bar = progress_place()
        watch(state.job, lambda: bar.progress(len(state.cohort) / state.total, _progress(state)))
        st.rerun()
    if state.doing == COHORT and state.job:
        job_status.draw_job_status(state, f" after {len(state.cohort)} of {state.total} scans", COHORT)
    if state.totals:
        draw_summary(state.totals, *state.cohort_of)


def _progress(state: EncryptState) -> str:
    return f"{len(state.cohort)} of {state.total} scans · {state.job.seconds:.1f} s"


def draw_summary(found: Summary, kind: str, preset: str) -> None:
    """How many answers stayed, the largest error, and the medians."""
    grid = st.grid(4, min_column_width=180)
    about = "Scans whose label, computed on the encrypted token, is the one in the clear."
    grid.metric("Same label", f"{found.same} of {found.n}", border=True, help=about)
    grid.metric("Largest error of a logit", number(found.max_error), border=True)
    grid.metric("Server, median", f"{number(found.server_ms)} ms", border=True)
    grid.metric("Up a scan", kilobytes(found.upload_kb), border=True)
    plain_accuracy, encrypted = found.plain["accuracy"], found.encrypted["accuracy"]
    st.caption(
        f"{HEADS[kind]} head, parameters “{plain(preset)}”. Accuracy in the clear {share(plain_accuracy)}, encrypted "
        f"{share(encrypted)}. Down {kilobytes(found.download_kb)} a scan, keys {kilobytes(found.keys_kb)} once."
    )


def draw_recorded(record: EncryptionRecord | None) -> None:
    """Every validation scan, and the paper's four configurations, as recorded."""
    st.header("The validation scans, recorded", anchor=False)
    if record is None:
        draw_lack()
        return
    draw_finding(told(record.heads.values()))
    st.table([_head_row(kind, preset, found) for (kind, preset), found in record.heads.items()], hide_index=True)
    st.caption(
        "A label can only change where the two largest logits lie closer together than the error; the last column "
        "counts those further apart than 0.001."
    )
    st.header("Four ways to learn and to ask", anchor=False)
    st.markdown(
        "Three invented hospitals train together; “encrypted gradients” adds their updates up under encryption, "
        "“encrypted token” asks what was trained centrally about encrypted tokens. The paper loses 6.1 points with "
        "encrypted tokens (96.12 to 90.02 %)."
    )
    _draw_configurations("A linear head, on the tokens of a fixed network", record.configurations)
    _draw_configurations("The whole network, from the weights that it has", record.network_configurations)
    st.caption(f"n = {record.n} validation scans, seed {record.seed}. Intervals: 95 %.")
    draw_command(record.command)


def _draw_configurations(title: str, configurations: Mapping[str, Mapping[str, Measured]]) -> None:
    if not configurations:
        return
    st.subheader(title, anchor=False)
    told_about = "; ".join(f"{name} {share(values['accuracy'])}" for name, values in configurations.items())
    draw_chart(accuracy_bars(configurations), 280, key=title, alt=f"Accuracy: {told_about}")
    rows = [
        {"Configuration": name[:1].upper() + name[1:]}
        | {measure: share(values[key]) for key, measure in MEASURE_TITLES.items()}
        for name, values in configurations.items()
    ]
    st.table(rows, hide_index=True)


def told(heads: Iterable[Summary]) -> str:
    """How much of the answers encryption changes, at most; from the figures."""
    known = list(heads)
    worst = min(known, key=lambda found: found.same_clear / max(found.clear, 1))
    moved = max(abs(found.encrypted["accuracy"].value - found.plain["accuracy"].value) for found in known)
    return (
        f"Encryption keeps the answer of at least **{worst.same_clear:,} of {worst.clear:,}** scans that are not on "
        f"the edge between classes, and moves the accuracy by **{100 * moved:.1f} points** at most."
    )


def accuracy_bars(configurations: Mapping[str, Mapping[str, Measured]]) -> go.Figure:
    """The accuracy of each way to learn and to ask, with its interval."""
    colours, ink = palette()
    found = [values["accuracy"] for values in configurations.values()]
    shares = [100 * one.value for one in found]
    names, places = [heading(name) for name in configurations], list(range(len(found)))
    figure = go.Figure()
    figure.add_bar(
        x=shares, y=places, orientation="h", hoverinfo="skip", marker={"color": colours[0]},
        text=[f"<b>{value:.1f} %</b>" for value in shares], textposition="inside", insidetextanchor="start",
        textfont={"size": 15, "color": BACKGROUNDS[theme()]},
        error_x={
            "array": [100 * one.high - value for one, value in zip(found, shares)],
            "arrayminus": [value - 100 * one.low for one, value in zip(found, shares)],
            "color": ink, "thickness": 2,
        },
    )  # fmt: skip
    figure.update_xaxes(title={"text": "accuracy (%), recorded; a line is its 95 % interval"}, range=[0, 104])
    figure = finished(figure, ink)
    figure.update_yaxes(tickvals=places, ticktext=names, range=[len(names) - 0.5, -0.5])
    figure.update_layout(showlegend=False, bargap=0.3)
    return figure


def draw_lack() -> None:
    """That nothing was measured with the weights of today, and to developers what measures it."""
    draw_unrecorded("Nothing is recorded for these weights.", "python -m training.measure.encrypted --data FILE")


def _head_row(kind: str, preset: str, found: Summary) -> dict[str, str]:
    return {
        "Head": kind.capitalize(),
        "Parameters": preset,
        "In the clear": share(found.plain["accuracy"]),
        "Encrypted": share(found.encrypted["accuracy"]),
        "Largest error": number(found.max_error),
        "Server, ms": number(found.server_ms),
        "Up / down": f"{kilobytes(found.upload_kb)} / {kilobytes(found.download_kb)}",
        "Same label": f"{found.same_clear:,} of {found.clear:,}",
    }


def share(measured: Measured) -> str:
    """A share with its interval."""
    return f"{percent(measured.value)} ({100 * measured.low:.1f}–{100 * measured.high:.1f})"
