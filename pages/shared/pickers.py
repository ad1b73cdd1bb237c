"""The sidebar: which bundle, which scan. The same on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import open_scan
from pages.shared.runtime import Engine, bundle
from pages.shared.session import TOUR_SAMPLE, Session, current_session, forget_problem
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.typing import UploadedFile

    from core.scans import Sample

ORIGINS = {"synthetic": "Synthetic", "real": "Real"}


def draw_pickers(session: Session, engine: Engine) -> UploadedFile | None:
    """Draw the pickers, or nothing until the library is loaded; the file in the uploader, if any."""
    with st.sidebar:
        if not engine.ready.is_set():
            return None
        _draw_bundle(session)
        st.subheader("Scan", anchor=False)
        st.markdown(f"**{plain(session.scan.name)}**" if session.scan else "None chosen yet.")
        _draw_samples(session)
        return st.file_uploader(
            "Upload a scan",
            key="upload",
            on_change=_upload_changed,
            help="DICOM, NIfTI, PNG, JPEG, TIFF, BMP or WebP. Pack the slices of a series into one ZIP. "
            "The file stays in this server's memory and is written nowhere.",
        )


def samples() -> dict[str, Sample]:
    """The samples on this machine for the visitor's bundle, by key, ours first."""
    from core.scans import sample_scans

    return {sample.key: sample for sample in sample_scans(current_session().bundle)}


def open_wanted(session: Session, file: UploadedFile | None, stay: bool = False) -> None:
    """Open what was just picked or uploaded, and go where it is shown; a bad one leaves the last scan in place.

    `stay` where the page that is open shows scans itself.
    """
    # What is done is noted only after it is done: a click in between stops this run, and the next one begins anew.
    if session.wanted and (key := _sample_key(session)):
        _open(session, str(samples()[key].path), None, key)
        # An upload that the pick overtook must not come back: a later one would have taken `wanted` away.
        session.upload_id = file.file_id if file else session.upload_id
        session.wanted = None
    elif file is not None and file.file_id != session.upload_id:
        _open(session, file.getbuffer(), file.name, None)
        # The uploader stays the same for the whole session: only then does Streamlit drop one file for the next.
        session.upload_id = file.file_id
        session.tour = session.wanted = None
    else:
        return
    if stay:
        st.rerun()
    st.switch_page("pages/examine/page.py")


def _open(session: Session, source: memoryview | str, name: str | None, sample: str | None) -> None:
    from core import ScanError

    try:
        session.take(open_scan(source, name), sample)
    except ScanError as error:
        session.problem = str(error)


def _sample_key(session: Session) -> str | None:
    """The wanted sample's key; None while the library is still loading, or where there is no such sample."""
    from pages.shared.runtime import engine

    if not engine().ready.is_set():
        return None
    known = samples()
    if session.wanted != TOUR_SAMPLE:
        return session.wanted if session.wanted in known else None
    ours = [key for key, sample in known.items() if sample.origin == "synthetic"]
    tumours = [key for key in ours if "tumour" in key and "no-tumour" not in key]
    return next(iter([*tumours, *ours, *known]), None)


def _draw_bundle(session: Session) -> None:
    from core import bundle_names

    names = bundle_names()
    about = "Everything learned for one clinical task."
    # The state is the truth and the widget mirrors it: tours and pages change the choice as well.
    st.session_state["bundle"] = session.bundle if session.bundle in names else None
    st.selectbox("Model bundle", names, key="bundle", help=about, on_change=_bundle_chosen)
    models = bundle(session.bundle)
    st.caption(f"{models.title}. Classifiers only, without a defence." if models.lacks else models.title)


def _bundle_chosen() -> None:
    if st.session_state["bundle"]:
        current_session().choose_bundle(st.session_state["bundle"])
    forget_problem()


def _draw_samples(session: Session) -> None:
    known = samples()
    if not known:
        st.caption("No sample comes with this bundle.")
        return
    # As above; a sample for another bundle stays open and isn't offered here.
    st.session_state["sample"] = session.sample if session.sample in known else None
    st.selectbox(
        "Sample scans",
        list(known),
        key="sample",
        format_func=lambda key: _group_and_title(known[key]),
        placeholder="Choose a sample",
        on_change=_sample_chosen,
    )
    if session.sample in known:
        st.caption(known[session.sample].description)


def _group_and_title(sample: Sample) -> str:
    group = ORIGINS.get(sample.origin, sample.origin)
    return sample.title if sample.title.startswith(group) else f"{group} · {sample.title}"


def _sample_chosen() -> None:
    want(st.session_state["sample"])


def want(key: str | None) -> None:
    """Have a sample opened, which ends a tour that speaks of another."""
    session = current_session()
    session.wanted, session.tour = key, None
    forget_problem()


def _upload_changed() -> None:
    forget_problem()
    if st.session_state["upload"] is not None:
        current_session().wanted = None  # the last choice counts
