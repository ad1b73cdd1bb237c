"""What the tests of scans share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The builders are plain modules beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail rather than download: pydicom would fetch test files that are missing."""
    monkeypatch.setattr("pydicom.data.download.download_with_progress", _refuse)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("A test tried to download a file.")
