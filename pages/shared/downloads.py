"""A scan, or a site's profile, to take away."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from core import Scan
    from core.defence.profile import Profile
    from pages.shared.session import Session


def file_stem(name: str, otherwise: str) -> str:
    """A file's name without its ending and without signs that some system forbids; `otherwise` where none is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-") or otherwise


def scan_stem(session: Session, scan: Scan) -> str:
    """How the name of a file about a scan begins: with the scan's own name only where that names no patient.

    That is, where the scan is one of our samples, or the visitor wants file names to be written.
    """
    if session.sample is not None or session.write_names:
        return file_stem(scan.name, "scan")
    return f"scan-{scan.sha256[:8]}"


def draw_scan_downloads(dicom: bytes, png: bytes, stem: str, key: str) -> None:
    """A button for each kind of file; `stem` is the files' name without the ending."""
    for label, data, ending, mime in (
        ("Download DICOM", dicom, "dcm", "application/dicom"),
        ("Download PNG", png, "png", "image/png"),
    ):
        st.download_button(
            label,
            data,
            f"{stem}.{ending}",
            mime,
            key=f"{key}-{ending}",
            on_click="ignore",
            icon=":material/download:",
        )


def draw_profile_download(profile: Profile) -> None:
    """A button for a site's profile."""
    from core.defence.profile import write_profile

    st.download_button(
        "Download profile.json",
        write_profile(profile),
        "profile.json",
        "application/json",
        key="download-profile",
        on_click="ignore",
        icon=":material/download:",
    )
