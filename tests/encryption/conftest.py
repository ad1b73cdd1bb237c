"""A server, heads, and a client with a session."""

from collections.abc import Iterator

import numpy as np
import pytest

from core.encryption import PRESETS, Head, PredictionSession, Server, open_session
from core.encryption.timing import example_head


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def heads() -> dict[str, Head]:
    random = np.random.default_rng(0)
    return {kind: example_head(kind, random) for kind in ("linear", "polynomial")}


@pytest.fixture
def opened(server: Server, heads: dict[str, Head]) -> Iterator[PredictionSession]:
    with open_session(PRESETS["linear"], heads["linear"], server) as opened:
        yield opened
