"""Federations between processes and machines, on Flower: an extra (`requirements-federation.txt`).

Flower carries the messages; what is in them, and what is done with it, is core.federation's. No code that comes over
the network is run: a site answers every message with its own program (`tasks`), so its policy holds whatever is sent.
"""

from importlib.util import find_spec

MISSING = (
    "Federations between processes, and the rules median, trimmed-mean and krum, need Flower: "
    "pip install -r requirements-federation.txt adds it."
)


def check_installed() -> None:
    """ValueError, one sentence, where the extra is missing."""
    if find_spec("flwr") is None:
        raise ValueError(MISSING)
