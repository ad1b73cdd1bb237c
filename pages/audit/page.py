"""AuditState: a cohort through the pipeline, what purification does to each scan, and a report to take away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.audit import table as audit_table
from pages.audit.case import draw_case
from pages.audit.charts import draw_charts
from pages.audit.files import draw_downloads
from pages.audit.source import choose_cohort
from pages.audit.state import AuditState, begin
from pages.shared import jobs as background
from pages.shared.empty_states import draw_lacking, draw_problem
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def draw_buttons(audit: AuditState) -> None:
    """Start, resume, or start over, whichever makes sense now."""
    if not audit.sources:
        return
    if audit.complete:
        st.button("Audit again", icon=":material/replay:", key="audit-start", on_click=begin, args=(audit,))
        return
    label = "Resume the audit" if audit.cases else "Start the audit"
    st.button(label, icon=":material/play_arrow:", type="primary", key="audit-start", on_click=begin, args=(audit,))


def draw_state(audit: AuditState) -> None:
    """How much is done, what of it is older than this visit, and how the last run ended."""
    job, done, total = audit.job, len(audit.cases), len(audit.sources)
    if job and job.error:
        st.error(background.sentence(job.error), icon=":material/error:")
    elif job and job.cut_short:
        why = "as nobody watched" if job.abandoned else "by hand"
        st.info(f"Stopped {why}. What is finished is kept; Resume goes on with the rest.", icon=":material/info:")
    known = len(audit.keeper.known)
    kept = f" Of these, {known} were finished in an earlier run and kept on this machine." if known else ""
    st.markdown(f"**{done} of {total}** scans are done.{kept}")
    settings = audit.settings
    st.caption(
        f"Classifier {settings.classifier} · every scan purified with the seeds {settings.seed} to "
        f"{settings.seed + settings.seeds - 1}; the first one is measured"
    )
    if audit.keeper.failed:
        st.warning(
            "Finished scans can’t be kept on this machine’s disk, so they are lost when the server stops.",
            icon=":material/warning:",
        )


def follow(audit: AuditState, place: DeltaGenerator) -> None:
    """Show how far it is until it has ended."""
    job, total, drawn = audit.job, len(audit.sources), [-1]
    with place.container():
        progress, results = st.empty(), st.empty()

    def draw() -> None:
        done, ahead = len(audit.cases), job.ahead
        waiting = f" · {ahead} ahead of you" if ahead else ""
        progress.progress(min(done / total, 1.0), f"{done} of {total} scans{waiting}")
        if done != drawn[0]:
            drawn[0] = done
            with results.container():
                audit_table.draw_figures(list(audit.cases.values()))
                audit_table.draw_live_table(audit)

    draw()
    background.watch(job, draw)


def draw_results(session: Session, audit: AuditState) -> None:
    """Everything that is known of the cohort."""
    cases = [audit.cases[index] for index in audit.in_order()]
    audit_table.draw_figures(cases)
    draw_downloads(audit)
    audit_table.draw_table(audit)
    index = st.session_state[audit_table.CASE]
    if index is not None:
        draw_case(session, audit, index)
    draw_charts(cases)


session = current_session()
wait_until_ready()
draw_problem(session)
st.title("Audit a cohort", anchor=False)
st.markdown(
    "Every scan goes through the pipeline, and every scan is purified as well, flagged or not: so one sees what "
    "purification costs those that it should have left alone."
)
if bundle(session.bundle).lacks:
    draw_lacking(bundle(session.bundle))
    st.stop()
audit = choose_cohort(session)
if audit is None:
    st.stop()
running = audit.running
# Two places, of which one is empty: what was drawn before would stay on the page, greyed, for as long as a run takes.
rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
if running:
    with live.container():
        st.button("Stop", icon=":material/stop:", type="primary", on_click=audit.job.stop, key="stop", shortcut="Esc")
        place = st.empty()
    follow(audit, place)
    # It has ended while it was being drawn: the button changes, and the cases can be opened.
    st.rerun()
with rest:
    draw_buttons(audit)
    draw_state(audit)
    if audit.cases:
        draw_results(session, audit)
