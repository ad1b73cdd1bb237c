"""What a page shows where it can't do its work: no scan was chosen, a bad one, or a bundle that lacks a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import samples
from pages.shared.pickers import ORIGINS, want
from pages.shared.runtime import DEFAULT_BUNDLE, bundle
from pages.shared.session import Session, current_session
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Bundle
    from core.scans import Sample


def draw_problem(session: Session) -> None:
    """The sentence about the last thing that went wrong, if any."""
    if session.problem:
        kept = " The scan that was open before stays open." if session.scan else ""
        st.error(plain(session.problem) + kept, icon=":material/error:")


def draw_start(verb: str) -> None:
    """What to do where no scan has been chosen yet; `verb` is what this page does to one."""
    st.title(f"{verb} a scan", anchor=False)
    known = samples().values()
    models = bundle(current_session().bundle)
    files = "DICOM, NIfTI or picture file" if models.modalities else "colour picture (PNG, JPEG, TIFF, BMP or WebP)"
    if not known:
        st.markdown(f"Upload a {files} in the sidebar. No sample comes with “{plain(models.title)}”.")
        return
    st.markdown(f"Choose a sample, or upload a {files} in the sidebar.")
    for origin, title in ORIGINS.items():
        if chosen := [sample for sample in known if sample.origin == origin]:
            st.header(f"{title} samples", anchor=False)
            _draw_samples(chosen)


def _draw_samples(samples: Sequence[Sample]) -> None:
    """A picture of each, with what it shows; a button opens it."""
    grid = st.grid(6, min_column_width=150)
    for sample in samples:
        with grid.container(border=True, height="stretch", gap="small"):
            if sample.picture:
                st.image(sample.picture.read_bytes(), width="stretch", output_format="PNG", alt=sample.title)
            st.button(sample.title, key=f"start-{sample.key}", width="stretch", on_click=want, args=(sample.key,))
            st.caption(sample.description)


def draw_missing_models(models: Bundle, lacks: str | None = None) -> None:
    """Its sentence, or another about what is lacking, and the way on."""
    st.info(plain(lacks or models.lacks or ""), icon=":material/info:")
    draw_switch(models)


def draw_switch(models: Bundle) -> None:
    """A button to the bundle that every page works with."""
    if models.name != DEFAULT_BUNDLE:
        label = f"Switch to {DEFAULT_BUNDLE}"
        st.button(label, icon=":material/swap_horiz:", key="switch-bundle", on_click=_switch)


def _switch() -> None:
    current_session().choose_bundle(DEFAULT_BUNDLE)
