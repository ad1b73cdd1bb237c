"""The one place where heavy work is started: models loaded in the background, one visitor at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from pages.components.state import DEFAULT_BUNDLE, Visit

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core import Bundle, Examination, Scan

T = TypeVar("T")
LOG = logging.getLogger("purescan")
POLL_SECONDS = 0.3


class Worker:
    """One thread for all heavy work: first come, first served, and one pool of OpenMP threads for the whole process.

    Torch starts such a pool for every thread that calls it, and pools beside each other on few cores stand in each
    other's way.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="heavy-work")
        self._lock = threading.Lock()
        self._pending: list[Future] = []

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue some work."""
        with self._lock:
            future = self._pool.submit(work)
            self._pending.append(future)
        future.add_done_callback(self._forget)
        return future

    def ahead(self, future: Future) -> int:
        """How many stand before this one in the queue."""
        with self._lock:
            return self._pending.index(future) if future in self._pending else 0

    def _forget(self, future: Future) -> None:
        with self._lock:
            self._pending.remove(future)


class Engine:
    """The worker of this process, and whether the library has been loaded yet."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.ready = threading.Event()
        self._started = threading.Lock()

    def warm_up(self) -> None:
        """Load torch and the default bundle in the background, once."""
        if self._started.acquire(blocking=False):
            self.worker.submit(self._load)

    def _load(self) -> None:
        try:
            import core.overlays  # noqa: F401  (draws with matplotlib, which takes a moment to load)

            bundle(DEFAULT_BUNDLE)
        except Exception:
            # The page that needs the bundle loads it again and tells its visitor what is wrong.
            LOG.exception("The models could not be loaded in advance.")
        finally:
            self.ready.set()


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine that all visitors of this process share."""
    return Engine()


@st.cache_resource(show_spinner=False, max_entries=4)
def bundle(name: str) -> Bundle:
    """A bundle, shared by all visitors: nobody may modify it."""
    from core import load_bundle

    return load_bundle(name)


@st.cache_resource(show_spinner=False, max_entries=2)
def exact_bundle(name: str) -> Bundle:
    """A bundle in float32, for attackers who differentiate the defence."""
    from core.bundles import in_float32

    return in_float32(bundle(name))


def heavy_work(doing: str, work: Callable[[], T]) -> T:
    """Do some work in this visitor's turn, showing `doing`, or who is ahead."""
    worker, message = engine().worker, st.empty()
    future = worker.submit(work)
    try:
        while not wait([future], POLL_SECONDS).done:
            # Drawing is where Streamlit stops the script of a visitor who has left.
            _say(message, doing, worker.ahead(future))
    finally:
        future.cancel()  # has no effect on work that has begun
    message.empty()
    return future.result()


def _say(message: DeltaGenerator, doing: str, ahead: int) -> None:
    if ahead:
        people = "1 visitor" if ahead == 1 else f"{ahead} visitors"
        message.info(f"{people} ahead of you. Your turn comes by itself.", icon=":material/hourglass_top:")
    else:
        message.info(doing, icon=":material/progress_activity:")


def wait_until_ready() -> None:
    """Hold the page until the library has been loaded."""
    started = engine()
    if not started.ready.is_set():
        started.warm_up()
        message = st.empty()
        while not started.ready.wait(POLL_SECONDS):
            # A polling fragment would be shorter, but Streamlit collects garbage after each of its runs, and that
            # makes the loading ten times slower.
            message.info("The models are being loaded. This happens once.", icon=":material/progress_activity:")
        st.rerun()


def examination(visit: Visit) -> Examination:
    """The result for what the visitor has chosen; computed only where the last one is of something else."""
    from core import examine

    scan, choices = visit.scan, visit.choices()
    assert scan is not None
    if visit.examination is None or visit.examined != choices:
        wanted = {"frame": visit.frame, "window": visit.window, "classifier": visit.classifier, "seed": visit.seed}
        name = visit.bundle
        visit.examination = heavy_work("Examining the scan …", lambda: examine(scan, bundle(name), **wanted))
        visit.examined = choices
    return visit.examination


def target_examination(visit: Visit) -> Examination:
    """The result for what an attack is aimed at: where the scan on the table is an attacked copy, for its origin."""
    from core import examine

    if visit.origin is None:
        return examination(visit)
    known, name = visit.origin_examination, visit.bundle
    classifier = bundle(name).classifier_name(visit.classifier)
    current = (name, classifier, visit.seed)
    if known is None or (known.bundle, known.undefended and known.undefended.classifier, known.seed) != current:
        scan, frame, window = visit.target()
        wanted = {"frame": frame, "window": window, "classifier": classifier, "seed": visit.seed}
        known = heavy_work("Examining the scan …", lambda: examine(scan, bundle(name), **wanted))
        visit.origin_examination = known
    return known


def open_scan(source: bytes | str, name: str | None = None) -> Scan:
    """Decode a scan in this visitor's turn: a large volume is heavy work too."""
    from core import load_scan

    return heavy_work("Opening the scan …", lambda: load_scan(source, name))


def attack(visit: Visit) -> None:
    """Replace the scan on the table by a copy attacked with PGD-40 at 8/255, and remember what it was."""
    from core.attacks import attack_scan

    scan, name, frame, classifier = visit.scan, visit.bundle, visit.frame, visit.classifier
    assert scan is not None
    examination(visit)  # the result before the attack
    attacked = heavy_work(
        "Attacking the scan: 40 steps of PGD at 8/255 …",
        lambda: attack_scan(scan, bundle(name), classifier=classifier, frame=frame),
    )
    visit.take_attacked(attacked)
