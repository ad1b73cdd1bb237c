"""The recorded studies of a classifier as the Faults page reads them, and where their figures come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.records import draw_command, draw_unrecorded
from pages.shared.runtime import bundle
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Bundle
    from core.faults.record import FaultRecord
    from core.faults.study import Study


def open_record(models: Bundle, classifier: str) -> FaultRecord:
    """What is recorded for a classifier, nothing where the file is damaged; read only where file or weights changed."""
    from core import BundleError
    from core.faults.record import FILE, FaultRecord

    path = models.folder / FILE
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    try:
        return _record((str(path), stamp, classifier, *models.hashes.values()), models, classifier)
    except BundleError:  # `draw_damaged` says so, once
        return FaultRecord(models.name, classifier, {}, frozenset(), None)


def draw_damaged(models: Bundle) -> None:
    """Say where the record can't be read; the rest of the page works without."""
    from core import BundleError
    from core.faults.record import read_faults

    try:
        read_faults(models, models.default_classifier)
    except BundleError as error:
        st.error(plain(str(error)), icon=":material/error:")


@st.cache_resource(show_spinner=False, max_entries=32)
def _record(key: tuple[object, ...], _models: Bundle, classifier: str) -> FaultRecord:
    from core.faults.record import read_faults

    return read_faults(_models, classifier)


def was_added(models: Bundle, classifier: str) -> bool:
    """Whether a classifier is somebody's own, which nothing is recorded of."""
    from core.bundles import own_names

    return classifier in models.added or models.name in own_names()


def draw_lack(record: FaultRecord, study: str) -> None:
    """Say that a study is not there, and to developers what to run."""
    lack = record.lack(study)
    if lack and was_added(bundle(record.bundle), record.classifier):
        who = plain(record.classifier)
        st.info(f"Of {who}, which was added here, no studies are recorded.", icon=":material/info:")
    elif lack:
        sentence, _, command = lack.rstrip("`.").partition("; run `")
        draw_unrecorded(f"{plain(sentence)}.", command, f"the study ‘{study}’")


def draw_source(study: Study, what: str, *remarks: str) -> None:
    """Where the figures above, which are `what`, come from: how many scans, which split, which command."""
    text = f"n = {study.n} validation scans, seed {study.seed}. Intervals: 95 %."
    st.caption(" ".join([text, *remarks]))
    draw_command(study.command, what)
