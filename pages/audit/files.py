"""An audit to take away: as a table, and as a report with pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from pages.audit.state import AuditState
from pages.shared.runtime import bundle, engine
from pages.shared.worker import Worker

if TYPE_CHECKING:
    from core import Bundle

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
    """The report; each case is studied in a turn of its own, so that other visitors get theirs in between."""
    from core.report.cases import study
    from core.report.cohort import run_record
    from core.report.rendering import draw_pictures, report_html

    order = audit.in_order()
    pictured = [index for index in order if audit.cases[index].fidelity][:PICTURED]
    settings = replace(audit.settings, seeds=2)  # pictures show the first seed's estimate alone
    pictures = {}
    for source in (audit.sources[index] for index in pictured):
        work = worker.submit(lambda source=source: draw_pictures(study(source, models, settings)))
        pictures[source.sha256] = work.result()
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
    """A name for a file, without signs that some system forbids."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(audit.title).stem).strip("-").lower() or "cohort"
    return f"purescan-audit-{stem}.{ending}"
