"""Where a cohort comes from: the samples, files, or a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.audit.state import SAMPLES, AuditState, open_audit
from pages.shared.uploads import refusal
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.typing import UploadedFile

    from core.report.sources import Source
    from pages.shared.session import Session

FILES, FOLDER = "Files or ZIP", "Folder"
SERIES = (
    "The files of one DICOM series are one scan together. Of a series or a volume the middle slice is audited. A DICOM "
    "SEG, an RTSTRUCT or a NIfTI mask is no scan, but outlines regions of interest; a mask belongs to the scan whose "
    "name begins as its own. Of a patient CD as ZIP what is no scan is left out."
)
ABOUT = {
    SAMPLES: "The synthetic scans that come with this bundle, and attacked copies of some of them, whose clean "
    "originals are known.",
    FILES: f"Each file is one scan, of a ZIP archive each file in it. {SERIES}",
    FOLDER: f"Every file in the folder is one scan. {SERIES}",
}
KEPT = (
    "Files stay in this server’s memory. Of a finished scan only numbers, your remark and the file’s digest are kept "
    "on its disk, without pixels and without the name, so that an audit that was cut off goes on where it stopped."
)


def choose_cohort(session: Session) -> AuditState | None:
    """Draw the choice; the audit of what is chosen, or None with what to do."""
    source = st.segmented_control(
        "Cohort", list(ABOUT), default=SAMPLES, required=True, key="audit-source", persist_state="session"
    )
    st.caption(ABOUT[source])
    if source == SAMPLES:
        from core.report.cohort import sample_cohort

        return open_audit(session, (SAMPLES,), SAMPLES, lambda: sample_cohort(session.bundle))
    return _uploaded(session, source)


def _uploaded(session: Session, source: str) -> AuditState | None:
    from core import ScanError
    from core.report.cohort import study_cohort

    files = st.file_uploader(
        "Files to audit" if source == FILES else "Folder to audit",
        accept_multiple_files=True if source == FILES else "directory",
        key=f"audit-{source}",
        on_change=_forget_removed,
        args=(session, f"audit-{source}"),
    )
    st.caption(KEPT)
    if not files:
        # Streamlit forgets a page's files when the page is left; what was open is not lost with them.
        audit = session.state_of(AuditState)
        if audit and audit.choices[0] == source:
            st.caption(f"Still open: {plain(audit.title)}")
            return open_audit(session, audit.choices[:2], audit.title, lambda: audit.sources)
        st.info("Choose what to audit. Nothing is computed before you start.", icon=":material/info:")
        return None
    if problem := refusal(files):
        st.error(problem, icon=":material/error:")
        return None
    choices = (source, tuple(file.file_id for file in files))
    try:
        return open_audit(session, choices, _title(files), lambda: study_cohort(_contents(files)))
    except ScanError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def about_files(sources: tuple[Source, ...]) -> str:
    """One line that says what became of the files where they aren't all scans; else empty."""
    files = sum(source.files for source in sources)
    outlines = len({file.sha256 for source in sources for file in source.outlines})
    parts = []
    if files > len(sources):
        count = f"{len(sources)} scan{'s' * (len(sources) != 1)}"
        parts.append(f"{files} files are {count}: a DICOM series counts once, by its middle slice.")
    if outlines:
        parts.append(f"{outlines} more outline{'s' * (outlines == 1)} regions of interest.")
    reasons = [reason for source in sources for reason in source.not_unpacked]
    if left_out := sum(source.left_out for source in sources) - len(reasons):
        count = "1 other file" if left_out == 1 else f"{left_out} other files"
        parts.append(f"{count} of the archive {'is' if left_out == 1 else 'are'} no scan and left out.")
    if reasons:
        count = "1 file" if len(reasons) == 1 else f"{len(reasons)} files"
        first = "" if len(reasons) == 1 else "The first: "
        parts.append(f"**{count} could not be unpacked, so that scans may be missing.** {first}{plain(reasons[0])}")
    return " ".join(parts)


def _contents(files: list[UploadedFile]) -> list[tuple[str, bytes]]:
    return [(file.name, file.getvalue()) for file in files]


def _title(files: list[UploadedFile]) -> str:
    return files[0].name if len(files) == 1 else f"{len(files)} files"


def _forget_removed(session: Session, key: str) -> None:
    """Close the audit of files that the visitor took away."""
    if not st.session_state[key]:
        session.drop(AuditState)
