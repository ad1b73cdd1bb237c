"""The one place where heavy work is started: models loaded in the background, one visitor at a time."""

from __future__ import annotations

import atexit
import gc
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.log import LOG, LogLine, start_logging
from pages.shared.memory_scrubber import MemoryScrubber
from pages.shared.shutdown import end_in_time
from pages.shared.uploads import keep_uploads_in_memory, refuse_large_sums
from pages.shared.worker import Batch, Worker

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core import Bundle

T = TypeVar("T")
R = TypeVar("R")
DEFAULT_BUNDLE = "brain-mri"
POLL_SECONDS = 0.3
# Threads that only wait for other processes.
ASIDE_THREADS = 32


class Engine:
    """The worker of this process, whether the library has been loaded yet, and who looks after the networks' memory."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.aside = ThreadPoolExecutor(ASIDE_THREADS, thread_name_prefix="aside")
        self.scrubber = MemoryScrubber(self.worker)
        self.ready = threading.Event()
        self._started = threading.Lock()

    def warm_up(self) -> None:
        """Load torch and the default bundle in the background, once."""
        if self._started.acquire(blocking=False):
            end_in_time()
            self.worker.submit(self._load)
            self.scrubber.start()

    def _load(self) -> None:
        try:
            from core.scans.loading import READER

            READER.start()
            # What pages take a moment to load later, and what would then stay within the garbage collector's sight.
            import core.evaluation.reliability  # noqa: F401  (scikit-learn)
            import core.explanation.overlays  # noqa: F401  (matplotlib)
            import core.fidelity.metrics  # noqa: F401  (scikit-image)
            import pages.shared.charts  # noqa: F401  (Plotly)

            bundle(DEFAULT_BUNDLE)
        except Exception:
            # The page that needs the bundle loads it again and tells its visitor what is wrong.
            LOG.exception("The models could not be loaded in advance.")
        finally:
            self.ready.set()


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine that all visitors of this process share."""
    start_logging()
    keep_uploads_in_memory()
    if (context := get_script_run_ctx()) is not None:
        refuse_large_sums(context.uploaded_file_mgr)  # type: ignore[arg-type]  # the only one
    return Engine()


@st.cache_resource(show_spinner=False, max_entries=4, on_release=lambda models: engine().scrubber.forget(models.name))
def bundle(name: str) -> Bundle:
    """A bundle, shared by all visitors: nobody may modify it."""
    from core import load_bundle

    models = engine().scrubber.watch_over(name, load_bundle(name))
    _spare_from_collection()
    return models


@st.cache_resource(
    show_spinner=False, max_entries=2, on_release=lambda models: engine().scrubber.forget(f"{models.name}, exact")
)
def exact_bundle(name: str) -> Bundle:
    """A bundle in float32, for attackers who differentiate the defence."""
    from core.bundles import in_float32

    return engine().scrubber.watch_over(f"{name}, exact", in_float32(bundle(name)))


def _spare_from_collection() -> None:
    """Take all that is loaded now out of the garbage collector's sight.

    Streamlit collects garbage after each run of a page, which takes .4 s where torch and its libraries are loaded, and
    nobody is served meanwhile.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # the libraries' own leak checks at the end of the process expect it


def heavy_work(doing: str, work: Callable[[], T]) -> T:
    """Do some work in this visitor's turn, showing `doing`, or who is ahead; the log holds `doing`, too."""
    line = LogLine(doing.removesuffix(" …"))
    return _in_turn(doing, engine().worker.submit(line.timed(work)), line)


def heavy_work_together(doing: str, request: R, batch: Batch[R, T]) -> T:
    """The same for what is done for several visitors at once: the result for this one's request."""
    line = LogLine(doing.removesuffix(" …"))
    logged: Batch[tuple[R, LogLine], T] = Batch(batch.kind, batch.most, lambda pairs: _timed(batch.work, pairs))
    return _in_turn(doing, engine().worker.submit_together((request, line), logged), line)


def _timed(work: Callable[[Sequence[R]], Sequence[T]], pairs: Sequence[tuple[R, LogLine]]) -> Sequence[T]:
    run = partial(work, [request for request, _ in pairs])
    for _, line in pairs:
        run = line.timed(run)  # type: ignore[assignment]  # what comes of it takes nothing, either
    return run()


def _in_turn(doing: str, future: Future[T], line: LogLine) -> T:
    worker, message = engine().worker, st.empty()
    future.add_done_callback(line.end)
    try:
        while not wait([future], POLL_SECONDS).done:
            # Drawing is where Streamlit stops the script of a visitor who has left.
            _say(message, doing, worker.ahead(future))
    finally:
        future.cancel()  # has no effect on work that has begun
    message.empty()
    return future.result()


def work_aside(doing: str, work: Callable[[], T], cancel: Callable[[], object]) -> T:
    """Do what takes its turns elsewhere, showing `doing`; `cancel` ends it where the visitor has left."""
    message, line = st.empty(), LogLine(doing.removesuffix(" …"))
    future = engine().aside.submit(line.timed(work))
    future.add_done_callback(line.end)
    try:
        while not wait([future], POLL_SECONDS).done:
            message.info(doing, icon=":material/progress_activity:")
    finally:
        if not future.done():
            cancel()
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
