"""What the tests of scans share."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.scans.decoding import decode_source

# The builders are plain modules beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail rather than download: pydicom would fetch test files that are missing."""
    monkeypatch.setattr("pydicom.data.download.download_with_progress", _refuse)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open files here and not in a process of their own, which would not know of limits that a test has changed."""

    def begin(source: memoryview | Path, *request: Any) -> SimpleNamespace:
        content = source if isinstance(source, Path) else bytes(source)
        return SimpleNamespace(finish=lambda: decode_source(content, *request))

    monkeypatch.setattr("core.scans.loading.READER", SimpleNamespace(begin=begin))


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("A test tried to download a file.")
