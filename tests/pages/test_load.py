"""Twenty visitors at once, each with a session of his own: how long the server takes, and whose answer he gets.

pytest -s tests/pages/test_load.py prints the seconds, by the server's log. What is held to a limit is the server's
processor time against that of the examinations alone: the clock on the wall also counts what else the machine is doing.
The visitors speak the page's protocol without a browser: twenty browsers would take the cores that the server needs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core import Bundle, examine, load_scan
from core.scans import write_derived_dicom
from pages.shared.words import plain
from tests.app_server import start_server
from tests.visitor import Visitor

pytestmark = pytest.mark.slow
VISITORS = 20
MOST_OVERHEAD = 2.0
UPLOADER = "Upload a scan"


@pytest.fixture(scope="module")
def scans(sample_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Synthetic heads with a little noise: no two are the same."""
    folder, made = tmp_path_factory.mktemp("visitors"), []
    for number in range(VISITORS):
        pixels = load_scan(sample_files[number % len(sample_files)]).frame()
        noisy = np.clip(pixels + np.random.default_rng(number).normal(0, 0.003, pixels.shape), 0, 1)
        path = folder / f"visitor-{number}.dcm"
        made.append(write_derived_dicom(path, noisy, kind="synthetic", description="A sample with noise, for a test"))
    return made


class App:
    """The app in a process of its own; its log is one JSON line each."""

    def __init__(self, log: Path) -> None:
        with log.open("w") as lines:
            self.process, self.server = start_server(log=lines)
        self._log = log

    def events(self) -> list[dict]:
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.server.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "log")
    yield app
    app.process.kill()
    app.process.wait()


@pytest.fixture
def visitors(app: App) -> Iterator[list[Visitor]]:
    """After the notice, on Home; one more than there are scans, who only looks."""
    # At once, as each of them waits out the greeting before it can be closed.
    with ThreadPoolExecutor(VISITORS + 1) as pool:
        entered = list(pool.map(enter, [app.server.url] * (VISITORS + 1)))
    yield entered
    for visitor in entered:
        visitor.close()


def enter(url: str) -> Visitor:
    visitor = Visitor(url)
    visitor.click("I understand")
    visitor.wait(lambda: UPLOADER in visitor.text)
    return visitor


def watch(visitor: Visitor, ended: threading.Event) -> list[float]:
    """The seconds that each redraw of a page took on which nothing is computed."""
    seconds = []
    while not ended.is_set():
        seconds.append(visitor.look_again())
        time.sleep(0.2)
    return seconds


def ask(visitor: Visitor, path: Path, together: threading.Barrier) -> None:
    together.wait()
    visitor.upload(path, UPLOADER)
    visitor.wait(lambda: named(path) in visitor.text and "seed" in visitor.text)


def named(path: Path) -> str:
    """A file's name as Markdown shows it literally."""
    return plain(path.name)


def examined_alone(scans: list[Path], bundle: Bundle) -> tuple[list[str | None], float]:
    """The labels, one scan after the other, and the processor seconds that they took."""
    start = time.process_time()
    return [examine(load_scan(path), bundle).label for path in scans], time.process_time() - start


def test_twenty_visitors_at_once_are_answered_soon_and_each_for_his_own_scan(
    app: App, visitors: list[Visitor], scans: list[Path], bundle: Bundle
) -> None:
    examine(load_scan(scans[0]), bundle)  # the first one is slow
    expected, before_load = examined_alone(scans, bundle)
    together, ended, before = threading.Barrier(VISITORS), threading.Event(), app.processor_seconds()
    with ThreadPoolExecutor(VISITORS + 1) as pool:
        pages = pool.submit(watch, visitors[-1], ended)
        asking = [pool.submit(ask, *asked, together) for asked in zip(visitors, scans)]
        for one in asking:
            one.result()
        ended.set()
    processor = app.processor_seconds() - before
    # What else runs on the machine makes both slower, and may begin or end meanwhile: so on either side of it.
    alone = max(before_load, examined_alone(scans, bundle)[1])
    answers = [line for line in app.events() if line.get("what") == "Examining the scan"]
    report(answers, processor, alone, pages.result())
    assert len({line["visitor"] for line in answers}) == len(answers) == VISITORS
    assert {line["ended"] for line in answers} == {"done"}
    assert not [line for line in app.events() if line["level"] == "error"]
    for visitor, path, label in zip(visitors, scans, expected):
        assert label is not None and label.capitalize() in visitor.text
        assert not [other for other in scans if other != path and named(other) in visitor.text]
    assert processor < MOST_OVERHEAD * alone


def report(answers: list[dict], processor: float, alone: float, pages: list[float]) -> None:
    waited, ran = np.array([(line["waited_s"], line["ran_s"]) for line in answers]).T
    seconds = waited + ran
    print(f"\n{len(answers)} visitors at once, seconds on the server: waited + ran = in all")
    for place in np.argsort(seconds):
        print(f"{waited[place]:6.2f} + {ran[place]:5.2f} = {seconds[place]:5.2f}")
    print(f"median {np.median(seconds):.2f}, p95 {np.percentile(seconds, 95):.2f}, all {seconds.max():.2f}", end="; ")
    print(f"processor {processor:.2f}, of the examinations alone {alone:.2f}", end="; ")
    print(f"another's page was drawn in {1000 * np.median(pages):.0f} ms, {1000 * max(pages):.0f} ms at worst")
