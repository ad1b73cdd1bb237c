"""The shared networks' memory is looked after while the app runs."""

import time
import weakref
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest

from core.bundles import Bundle
from core.faults import Finding
from pages.faults import guard as faults_guard
from pages.shared.memory_scrubber import BUDGET_MS, MemoryScrubber
from pages.shared.runtime import bundle, engine, exact_bundle
from pages.shared.worker import Worker


class FakeScrubber:
    def __init__(self, error: Exception | None = None) -> None:
        self.legs, self.error = [], error

    def scrub(self, budget_ms: float) -> None:
        self.legs.append(budget_ms)
        if self.error:
            raise self.error


def wait_for(reached) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_walks_by_itself_and_nobody_is_told_to_stand_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.memory_scrubber.PAUSE_SECONDS", 0.01)
    scrubber, fake = MemoryScrubber(Worker()), FakeScrubber()
    scrubber.bundles["one"] = fake
    scrubber.start()
    wait_for(lambda: len(fake.legs) > 3)
    assert set(fake.legs) == {BUDGET_MS}
    assert scrubber.worker.ahead(scrubber.worker.submit(lambda: None)) == 0


def test_it_ends_when_a_leg_fails_and_the_worker_goes_on(monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("pages.shared.memory_scrubber.PAUSE_SECONDS", 0.01)
    scrubber, fake = MemoryScrubber(Worker()), FakeScrubber(RuntimeError("no memory"))
    scrubber.bundles["one"] = fake
    scrubber.start()
    wait_for(lambda: "The memory scrubber can't go on." in caplog.text)
    assert scrubber.worker.submit(lambda: 7).result(10) == 7 and len(fake.legs) == 1


def test_a_bundle_that_is_taken_over_is_checked(cells: Bundle) -> None:
    scrubber = MemoryScrubber(Worker())
    assert scrubber.watch_over("cells", cells) is cells
    for _ in range(200):
        scrubber.scrub()
    assert scrubber.bundles["cells"].rounds >= 1 and not scrubber.bundles["cells"].findings


@pytest.mark.parametrize("served, most, key", [(bundle, 4, "{}"), (exact_bundle, 2, "{}, exact")], ids=["own", "exact"])
def test_a_bundle_that_is_served_no_more_is_freed(
    cells: Bundle, monkeypatch: pytest.MonkeyPatch, served: Callable[[str], Bundle], most: int, key: str
) -> None:
    """The last comes to the place of the first, and nothing holds the first's networks."""

    def load(name: str) -> Bundle:
        return replace(cells, name=name, classifiers=deepcopy(cells.classifiers))

    monkeypatch.setattr("core.load_bundle", load)
    monkeypatch.setattr("core.bundles.in_float32", lambda models: load(models.name))
    monkeypatch.setattr("pages.shared.runtime._spare_from_collection", lambda: None)
    names = [f"cells {place}" for place in range(most + 1)]
    watched = engine().scrubber.bundles
    try:
        first = weakref.ref(served(names[0]).classifiers["vit"])
        assert key.format(names[0]) in watched
        for name in names[1:]:
            served(name)
        assert key.format(names[0]) not in watched
        wait_for(lambda: first() is None)  # a leg of the scrubber that is under way holds what it looks at
    finally:
        for name in names:
            bundle.clear(name), exact_bundle.clear(name)
    assert not any(name in watching for watching in watched for name in names)


def test_what_was_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    for name in ("caption", "warning"):
        monkeypatch.setattr(faults_guard.st, name, lambda text, name=name, **_: told.update({name: text}))
    scrubber = SimpleNamespace(bundle="cells", tensors=9, rounds=2, findings=[])
    faults_guard.draw_scrubber(scrubber)
    assert "all 9 tensors in memory 2 times since" in told["caption"] and "warning" not in told
    scrubber.findings.append(Finding("mae", "head.weight", "reloaded"))
    faults_guard.draw_scrubber(scrubber)
    assert "loaded again from its file" in told["warning"]
