"""No traceback ever reaches a visitor: what goes wrong becomes one sentence, and a log entry on the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from pages.shared.log import LOG
from pages.shared.words import plain

UNEXPECTED = (
    "Something went wrong on our side, and it has been written to the server's log. "
    "Reload the page, or try another scan."
)


class PageEnd(StopException):
    """The page that is open has no more to say; what comes after every page still does."""


def end_page() -> NoReturn:
    """End the page here. Streamlit's own `st.stop` would leave out what comes after every page, too."""
    raise PageEnd


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show errors that core explains by their own sentence, and all others by one that says what to do."""
    try:
        yield
    except PageEnd:
        return
    except Exception as error:
        sentence = _explained(error)
        if sentence is None:
            LOG.exception("A page failed.")
        st.error(plain(sentence or UNEXPECTED), icon=":material/error:")


def _explained(error: Exception) -> str | None:
    # By name: importing core's classes would load torch while the first page is on its way.
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("core.")}
    return str(error) if names & {"ScanError", "BundleError"} else None
