"""An audit to take away: as a table, and as a report with pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import streamlit as st

from pages.audit.state import AuditState
from pages.shared.downloads import file_stem
from pages.shared.log import LOG
from pages.shared.runtime import engine
from pages.shared.worker import Worker

if TYPE_CHECKING:
    from core import Bundle
    from core.report.cases import Case
    from core.report.rendering import Pictures
    from pages.shared.session import Session

PICTURED = 12
PATIENCE = 90.0  # seconds: the browser gives a file up after 180


def draw_downloads(session: Session, audit: AuditState) -> None:
    """Table and report, both made when asked for; the report computes its pictures again, which takes a moment."""
    from core.report.rendering import cases_csv
    from core.report.store import run_record

    worker, models = engine().worker, audit.models
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
    """The report, with pictures of the worst cases: all that could be made within `PATIENCE` seconds."""
    from core.report.rendering import report_html
    from core.report.store import run_record

    cases = exported(audit, names)
    pictures = _pictures(audit, worker, models)
    return report_html(
        cases,
        pictures,
        run_record(audit.sources, models, audit.settings),
        title=models.title,
        cohort=exported_title(audit, names),
        total=len(audit.sources),
        purifies=audit.purifies,
        made=datetime.now(UTC),
    )


def _pictures(audit: AuditState, worker: Worker, models: Bundle) -> dict[str, Pictures]:
    """SHA-256 of the worst cases → their pictures, each made in a turn of its own: others get theirs in between.

    A case whose pictures can't be made, or not in time, is left without: a report is never lost to a picture.
    """
    from core.report.cases import case_evidence
    from core.report.rendering import draw_pictures

    settings = replace(audit.settings, seeds=2)  # pictures show the first seed's estimate alone
    until = monotonic() + PATIENCE
    worst = [index for index in audit.in_order() if audit.cases[index].fidelity][:PICTURED]
    for source in (audit.sources[index] for index in worst):
        if source.sha256 in audit.pictures:
            continue
        made = worker.submit(partial(lambda source: draw_pictures(case_evidence(source, models, settings)), source))
        try:
            audit.pictures[source.sha256] = made.result(max(0.0, until - monotonic()))
        except TimeoutError:
            made.cancel()
        except Exception:
            LOG.exception("A picture of a report could not be made.")
    shown = {audit.sources[index].sha256 for index in worst}
    audit.pictures = {sha256: picture for sha256, picture in audit.pictures.items() if sha256 in shown}
    return dict(audit.pictures)


def file_name(audit: AuditState, ending: str, names: bool = False) -> str:
    """A name for a file of this audit."""
    title = audit.title if names or audit.ours else "cohort"
    return f"purescan-audit-{file_stem(title, 'cohort').lower()}.{ending}"
