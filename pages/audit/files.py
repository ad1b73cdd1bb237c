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
    from core.report.cases import Source
    from core.report.rendering import Pictures

PICTURED = 12


def draw_downloads(audit: AuditState) -> None:
    """Both are made when they are asked for; the report computes its pictures again, which takes a moment."""
    from core.report.cohort import run_record
    from core.report.rendering import cases_csv

    worker, models = engine().worker, bundle(audit.bundle)
    with st.container(horizontal=True):
        st.download_button(
            "Table (CSV)",
            lambda: cases_csv(list(audit.cases.values()), run_record(audit.sources, models, audit.settings)),
            file_name(audit, "csv"),
            "text/csv",
            key="download-csv",
            on_click="ignore",
            icon=":material/table:",
        )
        st.download_button(
            "Report (HTML)",
            lambda: report(audit, worker, models),
            file_name(audit, "html"),
            "text/html",
            key="download-html",
            on_click="ignore",
            icon=":material/description:",
            help=f"One file that opens without a network and prints. The {PICTURED} worst cases are drawn in it, "
            "which takes a moment.",
        )


def report(audit: AuditState, worker: Worker, models: Bundle) -> str:
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
        [audit.cases[index] for index in order],
        pictures,
        run_record(audit.sources, models, audit.settings),
        title=models.title,
        cohort=audit.title,
        total=len(audit.sources),
        made=datetime.now(UTC),
    )


def file_name(audit: AuditState, ending: str) -> str:
    """A name for a file of this audit."""
    return f"purescan-audit-{file_stem(audit.title, 'cohort').lower()}.{ending}"
