"""An audit to take away: as a table, and as a report with pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from pages.audit.state import AuditState
from pages.shared.downloads import file_stem
from pages.shared.runtime import bundle, engine
from pages.shared.worker import Worker

if TYPE_CHECKING:
    from core import Bundle
    from core.report.cases import Case, Source
    from core.report.rendering import Pictures
    from pages.shared.session import Session

PICTURED = 12


def draw_downloads(session: Session, audit: AuditState) -> None:
    """Table and report, both made when asked for; the report computes its pictures again, which takes a moment."""
    from core.report.cohort import run_record
    from core.report.rendering import cases_csv

    worker, models = engine().worker, bundle(audit.bundle)
    names = session.write_names = _draw_choice(session)
    with st.container(horizontal=True):
        st.download_button(
            "Table (CSV)",
            lambda: cases_csv(exported(audit, names), run_record(audit.sources, models, audit.settings)),
            file_name(audit, "csv", names),
            "text/csv",
            key="download-csv",
            on_click="ignore",
            icon=":material/table:",
        )
        st.download_button(
            "Report (HTML)",
            lambda: report(audit, worker, models, names),
            file_name(audit, "html", names),
            "text/html",
            key="download-html",
            on_click="ignore",
            icon=":material/description:",
            help=f"One file that opens without a network and prints. The {PICTURED} worst cases are drawn in it, "
            "which takes a moment.",
        )


def _draw_choice(session: Session) -> bool:
    return st.checkbox(
        "Write file names into table and report",
        session.write_names,
        key="audit-names",
        help="A file’s name often names the patient. Without them the scans are called scan 1, scan 2 and so on, in "
        "the order of the cohort; their digests lead back to the files. Our own samples keep their names.",
    )


def exported(audit: AuditState, names: bool) -> list[Case]:
    """The cases as they leave the page: with their files' names where the visitor wants these, or they are ours."""
    from core.report.naming import without_names

    cases = dict(audit.cases)  # once: the worker adds to it meanwhile
    return list(cases.values()) if names or audit.ours else without_names(cases)


def exported_title(audit: AuditState, names: bool) -> str:
    """The cohort in words that hold no file's name unless they may."""
    return audit.title if names or audit.ours else "Uploaded files"


def report(audit: AuditState, worker: Worker, models: Bundle, names: bool = False) -> str:
    """The report; each case is computed in a turn of its own, so that other visitors get theirs in between."""
    from core.report.cases import case_evidence
    from core.report.cohort import run_record
    from core.report.rendering import draw_pictures, report_html

    order = audit.in_order()
    pictured = [index for index in order if audit.cases[index].fidelity][:PICTURED]
    settings = replace(audit.settings, seeds=2)  # pictures show the first seed's estimate alone

    def draw(source: Source) -> Pictures:
        return draw_pictures(case_evidence(source, models, settings))

    sources = [audit.sources[index] for index in pictured]
    pictures = {source.sha256: worker.submit(partial(draw, source)).result() for source in sources}
    return report_html(
        exported(audit, names),
        pictures,
        run_record(audit.sources, models, audit.settings),
        title=models.title,
        cohort=exported_title(audit, names),
        total=len(audit.sources),
        made=datetime.now(UTC),
    )


def file_name(audit: AuditState, ending: str, names: bool = False) -> str:
    """A name for a file of this audit."""
    title = audit.title if names or audit.ours else "cohort"
    return f"purescan-audit-{file_stem(title, 'cohort').lower()}.{ending}"
