"""The sidebar: which bundle, which scan. The same on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.typing import UploadedFile

from pages.shared.examinations import samples
from pages.shared.runtime import Engine, bundle
from pages.shared.session import TOUR_SAMPLE, Session, current_session, forget_problem
from pages.shared.settings.defence import draw_policy, draw_profile
from pages.shared.uploads import most_megabytes, study_of
from pages.shared.uploads.studies import StudyState, open_study, study_state
from pages.shared.visit.address import go_to
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core import Scan
    from core.scans import Sample

ORIGINS = {"real": "Real", "synthetic": "Synthetic"}


def draw_pickers(session: Session, engine: Engine, every_bundle: bool = True) -> None:
    """Draw the pickers, or nothing until the library is loaded; shipped without samples only where `every_bundle`."""
    study_state(session)  # lets go of one that nothing is open of
    with st.sidebar:
        if not engine.ready.is_set():
            return
        _draw_bundle(session, every_bundle)
        st.subheader("Scan", anchor=False)
        st.markdown(f"**{plain(session.scan.name)}**" if session.scan else "None chosen yet.")
        _draw_place(session.target()[0])
        _draw_samples(session)
        st.file_uploader(
            "Upload a scan",
            accept_multiple_files=True,
            # A new one each time: what is dropped next takes the place of this, and doesn't join it.
            key=f"upload-{session.uploads}",
            on_change=_uploaded,
            help="DICOM, NIfTI, PNG, JPEG, TIFF, BMP or WebP; the files of a study together, or as one ZIP, "
            f"{most_megabytes()} MB in all. They stay in this server's memory and are written nowhere.",
        )
        draw_policy(session)
        draw_profile(session)


def _draw_place(scan: Scan | None) -> None:
    """Which series and volume of its study is open, where there are several."""
    if scan is None:
        return
    parts = [f"Series {scan.series_index + 1} of {scan.series_count}"] if scan.series_count > 1 else []
    parts += [f"volume {scan.volume + 1} of {scan.volume_count}"] if scan.volume_count > 1 else []
    if parts:
        st.caption(f"{heading(', '.join(parts))}. Choose another on Examine.")


def open_wanted(session: Session, stay: bool = False) -> None:
    """Open what was just picked or uploaded, and go where it is shown; a bad one leaves the last scan in place.

    `stay` where the page that is open shows scans itself.
    """
    from pages.shared.runtime import engine

    state = study_state(session)
    if not engine().ready.is_set() or (session.wanted is None and (state is None or state.wanted is None)):
        return
    # What is done is noted only after it is done: a click in between stops this run, and the next one begins anew.
    _open(session, state)
    session.wanted = None
    if state:
        state.wanted = None
    if stay:
        st.rerun()
    go_to("examine")


def _open(session: Session, state: StudyState | None) -> None:
    from core.scans import ScanError, Study

    wanted = session.wanted
    try:
        if isinstance(wanted, Study):
            open_study(session, wanted)
        elif wanted and (key := _sample_key(wanted)):
            path = samples()[key].path
            open_study(session, Study(str(path), path.name), key)
        elif state and state.wanted:
            open_study(session, state.study, session.sample, *state.wanted)
    except ScanError as error:
        session.problem = str(error)


def _sample_key(wanted: str) -> str | None:
    """The wanted sample's key; None where there is no such sample."""
    known = samples()
    if wanted != TOUR_SAMPLE:
        return wanted if wanted in known else None
    ours = [key for key, sample in known.items() if sample.origin == "synthetic"]
    tumours = [key for key in ours if "tumour" in key and "no-tumour" not in key]
    return next(iter([*tumours, *ours, *known]), None)


def _draw_bundle(session: Session, every_bundle: bool) -> None:
    from core import bundle_names
    from core.bundles import own_names

    own = own_names()
    names = [name for name in bundle_names() if every_bundle or name == session.bundle or name in own or samples(name)]
    about = "Everything learned for one clinical task."
    # The state is the truth and the widget mirrors it: tours and pages change the choice as well. It begins empty, as a
    # browser that draws it anew in between would otherwise choose the first option by itself.
    st.session_state["bundle"] = session.bundle if session.bundle in names else None
    st.selectbox("Model bundle", names, None, key="bundle", help=about, required=True, on_change=_bundle_chosen)
    models = bundle(session.bundle)
    st.caption(f"{models.title}. Classifiers only, without a defence." if models.lacks else models.title)


def _bundle_chosen() -> None:
    if chosen := st.session_state["bundle"]:
        current_session().choose_bundle(chosen)
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
        None,
        key="sample",
        required=True,
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
    if chosen := st.session_state["sample"]:
        want(chosen)


def want(key: str) -> None:
    """Have a sample opened, which ends a tour that speaks of another."""
    session = current_session()
    session.wanted, session.tour = key, None
    forget_problem()


def _uploaded() -> None:
    from core.scans import ScanError

    session = current_session()
    given = st.session_state.get(f"upload-{session.uploads}") or ()
    # A browser may name the files of the last uploader again, which are gone by then.
    files = [file for file in given if isinstance(file, UploadedFile)]
    forget_problem()
    if not files:
        return
    session.uploads += 1
    session.tour = None
    try:
        session.wanted = study_of(files)
    except ScanError as error:
        session.wanted, session.problem = None, str(error)
