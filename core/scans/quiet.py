"""Keep decoders written in C from printing to the terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# The standard error of a process is one for all of its threads: two redirections at once could restore the wrong one.
_LOCK = threading.Lock()


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Send file descriptor 2 nowhere while the block runs, one thread at a time.

    What other threads print to standard error in the meantime is lost as well; decoding a frame takes milliseconds.
    """
    with _LOCK:
        if sys.stderr is not None:
            sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
