"""What is known about the scan and about the models that judged it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import streamlit as st

from pages.shared.session import current_session
from pages.shared.story.cards import draw_other_aim
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Bundle, Scan

KINDS = {"dicom": "DICOM", "nifti": "NIfTI", "raster": "Picture"}
DERIVED: dict[str | None, tuple[str, str, Literal["blue", "orange", "violet"]]] = {
    "synthetic": ("Synthetic: no patient", ":material/auto_awesome:", "blue"),
    "attacked": ("Attacked on purpose", ":material/bolt:", "orange"),
    "purified": ("A purifier's estimate", ":material/cleaning_services:", "violet"),
}


def draw_title(scan: Scan) -> None:
    """The scan's name with its badges, and of an attacked copy whom it was made to deceive, where that is another."""
    st.subheader(plain(scan.name), anchor=False)
    with st.container(horizontal=True, gap="small"):
        if scan.derived in DERIVED:
            label, icon, colour = DERIVED[scan.derived]
            st.badge(label, icon=icon, color=colour)
        st.badge(KINDS.get(scan.kind, scan.kind), color="gray")
        st.badge(scan.modality or "Modality not stated", color="gray")
        rows, columns = scan.values.shape[1:3]
        st.badge(f"{columns} × {rows} pixels", color="gray")
    draw_other_aim(current_session())


def draw_about(scan: Scan, bundle: Bundle) -> None:
    """Notes, allow-listed tags, and what it takes to do this again."""
    for note in scan.notes:
        if note in scan.left_out:
            continue  # said above the scan
        st.markdown(f":material/info: {plain(note)}")
    grid = st.grid(2, min_column_width=380)
    with grid.cell():
        st.markdown("**Technical tags**")
        if scan.tags:
            st.table({plain(label): plain(text) for label, text in scan.tags.items()}, alt="Technical tags of the scan")
            st.caption("Only tags from a short list of technical ones are ever shown.")
        else:
            st.markdown("This format brings none.")
    with grid.cell():
        st.markdown("**To do this again**")
        facts = {"Scan, SHA-256": scan.sha256} | {f"{bundle.name}/{name}": sha for name, sha in bundle.hashes.items()}
        rows = {plain(name): f"`{sha[:16]}…`" for name, sha in facts.items()}
        st.table(rows, alt="Digests of the scan and of the models")
        spacing = " × ".join(f"{value:.3g}" for value in scan.millimetres) + " mm" if scan.millimetres else "not stated"
        st.caption(f"Spacing between slices, rows and columns: {spacing}.")
