"""The process ends in time, whatever its threads are doing."""

from __future__ import annotations

import os
import threading
import time

from streamlit import runtime
from streamlit.runtime.runtime import RuntimeState

SHUTDOWN_SECONDS = 3.0
POLL_SECONDS = 0.5


def end_in_time() -> None:
    """See to it that the process is gone `SHUTDOWN_SECONDS` after Streamlit was told to stop.

    Python waits for every thread first: for the last steps of an attack, or for whoever reads from a slow server.
    """
    if runtime.exists():
        threading.Thread(target=_end, name="shutdown", daemon=True).start()


def _end() -> None:
    served = runtime.get_instance()
    while served.state not in (RuntimeState.STOPPING, RuntimeState.STOPPED):
        time.sleep(POLL_SECONDS)
    time.sleep(SHUTDOWN_SECONDS)
    os._exit(0)
