"""The recorded federation as the page reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.records import draw_unrecorded
from pages.shared.words import plain

if TYPE_CHECKING:
    from core.federation.record import FederationRecord

NONE = "No federation is recorded here."


def open_record() -> FederationRecord | None:
    """What is recorded; None, with a sentence and the command that makes it, where nothing is or it is damaged."""
    from core.federation import record

    stamp = record.PATH.stat().st_mtime_ns if record.PATH.is_file() else 0
    try:
        found = _read(str(record.PATH), stamp)
    except record.RecordError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if found is None:
        draw_unrecorded(NONE, record.COMMAND)
    return found


@st.cache_resource(show_spinner=False, max_entries=2)
def _read(path: str, stamp: int) -> FederationRecord | None:
    from pathlib import Path

    from core.federation.record import read_record

    return read_record(Path(path))
