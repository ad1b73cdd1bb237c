"""Steps that take longer than a page waits before it draws again."""

import importlib
import time
from collections.abc import Iterator

import pytest

POLL_SECONDS = 0.02
STEP_SECONDS = 0.1


def slow_down(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the generator of this name, ``package.module.function``, take its time before each step and after the last.

    Pages look for something new far more often than that, and find nothing most of the time.
    """
    place, _, function = name.rpartition(".")
    quick = getattr(importlib.import_module(place), function)

    def slow(*args: object, **options: object) -> Iterator[object]:
        for step in quick(*args, **options):
            time.sleep(STEP_SECONDS)
            yield step
        time.sleep(STEP_SECONDS)

    monkeypatch.setattr(name, slow)
    monkeypatch.setattr("pages.shared.jobs.POLL_SECONDS", POLL_SECONDS)
