"""Audit: a cohort through the pipeline, what purification does to each scan, and a report to take away."""

from __future__ import annotations

import streamlit as st

from pages.audit.case import draw_case
from pages.audit.charts import draw_charts
from pages.audit.files import draw_downloads
from pages.audit.source import about_files, choose_cohort
from pages.audit.state import AuditState, begin
from pages.audit.table import CASE, draw_figures, draw_live_table, draw_table
from pages.shared.empty_states import draw_missing_models, draw_problem
from pages.shared.errors import end_page
from pages.shared.examinations import lacking
from pages.shared.job_status import draw_job_status, draw_stop, follow
from pages.shared.runtime import bundle, wait_until_ready
from pages.shared.session import Session, current_session
from pages.shared.tours import draw_tour
from pages.shared.tours.places import AUDIT


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
    """How much is done, what of it is older than this session, and how the last run ended."""
    done, total = len(audit.cases), len(audit.sources)
    draw_job_status(audit, then="What is finished is kept; Resume goes on with the rest.")
    known = len(audit.store.known)
    kept = f" Of these, {known} were finished in an earlier run and kept on this machine." if known else ""
    st.markdown(f"**{done} of {total}** scans are done.{kept} {about_files(audit.sources)}")
    settings = audit.settings
    st.caption(
        f"Classifier {settings.classifier} · every scan purified with the seeds {settings.seed} to "
        f"{settings.seed + settings.seeds - 1}; the first one is measured"
    )
    if audit.store.failed:
        st.warning(
            "Finished scans can’t be kept on this machine’s disk, so they are lost when the server stops.",
            icon=":material/warning:",
        )


def draw_so_far(audit: AuditState) -> None:
    """What is known while the rest is being done."""
    draw_figures(list(audit.cases.values()))
    draw_live_table(audit)


def draw_results(session: Session, audit: AuditState) -> None:
    """Everything that is known of the cohort."""
    cases = [audit.cases[index] for index in audit.in_order()]
    draw_figures(cases)
    draw_downloads(session, audit)
    draw_table(audit)
    index = st.session_state[CASE]
    if index is not None:
        draw_case(session, audit, index)
    draw_charts(cases)


def draw_audit(session: Session, audit: AuditState) -> None:
    """The audit while it runs, or what came of it."""
    running = audit.running
    # Of two places one is empty: what was drawn before would stay on the page, greyed, for as long as a run takes.
    rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    if running:
        with live.container():
            draw_stop(audit)
            follow(audit, audit.progress, lambda _: draw_so_far(audit))
        # It has ended while it was being drawn: the button changes, and the cases can be opened.
        st.rerun()
    with rest:
        draw_buttons(audit)
        draw_state(audit)
        if audit.cases:
            draw_results(session, audit)


session = current_session()
wait_until_ready()
draw_problem(session)
draw_tour(session, AUDIT)
st.title("Audit a cohort", anchor=False)
st.markdown(
    "Every scan goes through the pipeline, and every scan is purified as well, flagged or not: so one sees what "
    "purification costs those that it should have left alone."
)
if lacks := lacking(session):
    draw_missing_models(bundle(session.bundle), lacks)
    end_page()
audit = choose_cohort(session)
if audit is None:
    end_page()
draw_audit(session, audit)
