"""Twenty visitors at once, without a browser: how long each one's examination waits and runs, and whose answer he gets.

pytest -s tests/pages/test_load.py prints the seconds. What is held to a limit is processor time, both cores added up:
the clock on the wall also counts what else the machine is doing.
"""

import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
from streamlit.logger import get_logger

from core import Bundle, Examination, Scan, examine, load_scan
from core.attacks import attack_scan
from pages.shared.examinations import examination
from pages.shared.runtime import engine
from pages.shared.session import Session

LOG = get_logger("streamlit.runtime.scriptrunner_utils.script_run_context")
pytestmark = pytest.mark.slow
VISITORS, CORES = 20, 2
P95_SECONDS = 6.0
PULSE_SECONDS = 0.01


@dataclass
class Visit:
    """One visitor's scan and the answer to it; seconds from the question to the answer."""

    scan: Scan
    answer: Examination | None = None
    seconds: float = 0.0

    def ask(self, together: threading.Barrier) -> None:
        session = Session()
        session.take(self.scan)
        together.wait()
        start = time.perf_counter()
        self.answer = examination(session)
        self.seconds = time.perf_counter() - start

    @property
    def run(self) -> float:
        return self.answer.seconds["total"]


class Pulse(threading.Thread):
    """A page that has little to do: how late it came at worst."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended, self.worst = threading.Event(), 0.0

    def run(self) -> None:
        last = time.perf_counter()
        while not self.ended.wait(PULSE_SECONDS):
            now = time.perf_counter()
            self.worst, last = max(self.worst, now - last - PULSE_SECONDS), now

    def end(self) -> float:
        self.ended.set()
        self.join()
        return self.worst


@pytest.fixture(scope="module")
def scans(sample_files, bundle: Bundle) -> list[Scan]:
    """All different; some are attacked."""
    clean = [load_scan(file) for file in sample_files]
    return clean + [attack_scan(scan, bundle) for scan in clean[: VISITORS - len(clean)]]


@pytest.fixture(scope="module")
def alone(scans, bundle: Bundle) -> list[Examination]:
    engine().warm_up()
    assert engine().ready.wait(120)
    return [examine(scan, bundle) for scan in scans]


def ask_at_once(scans: list[Scan]) -> tuple[list[Visit], float]:
    """Every visit, answered, and the processor time that they took."""
    visits, together, start = [Visit(scan) for scan in scans], threading.Barrier(len(scans)), time.process_time()
    threads = [threading.Thread(target=visit.ask, args=(together,)) for visit in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return visits, time.process_time() - start


def report(visits: list[Visit], processor: float, late: float) -> None:
    seconds, run = np.array([visit.seconds for visit in visits]), np.array([visit.run for visit in visits])
    print(f"\n{len(visits)} visitors at once, seconds: wait + run = until the answer")
    for place in np.argsort(seconds):
        print(
            f"{seconds[place] - run[place]:6.2f} + {run[place]:5.2f} = {seconds[place]:5.2f}  {visits[place].scan.name}"
        )
    print(f"median {np.median(seconds):.2f}, p95 {np.percentile(seconds, 95):.2f}, all {seconds.max():.2f}", end="; ")
    print(f"processor {processor:.2f}; another page came {1000 * late:.0f} ms late at worst")


def test_twenty_visitors_at_once_are_answered_soon_and_each_for_his_own_scan(scans, alone, monkeypatch):
    monkeypatch.setattr(LOG, "disabled", True)  # it warns of every thread that has no page
    pulse = Pulse()
    pulse.start()
    visits, processor = ask_at_once(scans)
    late = pulse.end()
    report(visits, processor, late)
    for visit, exam in zip(visits, alone):
        assert visit.answer.file == exam.file and np.array_equal(visit.answer.pixels, exam.pixels)
        assert visit.answer.label == exam.label
        assert visit.answer.detection.scores == pytest.approx(exam.detection.scores, rel=1e-4, abs=1e-6)
    assert processor < CORES * P95_SECONDS
