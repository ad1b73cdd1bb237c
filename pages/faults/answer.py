"""What the bundle says of the scan on the table, with the network as it is and as this visitor has damaged it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.record import open_record
from pages.shared.examinations import examination
from pages.shared.runtime import bundle, heavy_work

if TYPE_CHECKING:
    from core import Examination
    from core.faults.guard import Guard
    from core.faults.view import Watch
    from pages.faults.state import FaultBench
    from pages.shared.session import Session


@dataclass(frozen=True)
class Answer:
    """One scan before and after the damage.

    choices: everything that it depends on, scan first; watch: what the guard did, None where it is off or nothing is
    flipped; digest: SHA-256 of the network that all visitors share, taken afterwards.
    """

    choices: tuple[object, ...]
    before: Examination
    after: Examination
    watch: Watch | None
    digest: str

    @property
    def withheld(self) -> bool:
        """Whether the guard, which only detects, holds the answer back."""
        return bool(self.watch and self.watch.withholds)


def current_answer(session: Session, bench: FaultBench) -> Answer:
    """The visitor's result; computed only where the last one is of something else."""
    asked = _asked(session, bench)
    scan = (session.choices(), asked)
    choices = (*scan, tuple(bench.flips), bench.guard)
    known = bench.answer
    if known is None or known.choices != choices:
        before = known.before if known and known.choices[: len(scan)] == scan else _before(session, asked)
        bench.answer = _answered(session, bench, choices, asked, before)
    return bench.answer


def _asked(session: Session, bench: FaultBench) -> str:
    """Which classifier answers: the damaged one, or the visitor's where the autoencoder is damaged."""
    return bench.network if bench.measurable else bench.models.classifier_name(session.classifier)


def _before(session: Session, asked: str) -> Examination:
    from core.faults.view import answered

    models = bundle(session.bundle)
    if asked == models.classifier_name(session.classifier) and (models.lacks or asked in models.limits):
        return examination(session)
    scan, wanted = session.scan, {"frame": session.frame, "window": session.window, "seed": session.seed}
    return heavy_work("Asking the network …", lambda: answered(scan, models, asked, **wanted))


def _answered(
    session: Session, bench: FaultBench, choices: tuple[object, ...], asked: str, before: Examination
) -> Answer:
    from core.faults import network_digest
    from core.faults.view import answered_with

    scan, wanted = session.scan, {"frame": session.frame, "window": session.window, "seed": session.seed}
    models, flips, mode = bench.models, tuple(bench.flips), bench.guard
    guard = page_guard(bench) if flips and mode != "off" else None

    def work() -> Answer:
        after, watch = before, None
        if flips:
            how = {"guard": guard, "repair": mode == "repair", **wanted}
            after, watch = answered_with(scan, models, bench.network, flips, asked, **how)
        return Answer(choices, before, after, watch, network_digest(bench.module))

    answer = heavy_work("Asking the damaged network …", work)
    bench.digest = bench.digest or answer.digest
    return answer


def page_guard(bench: FaultBench) -> Guard:
    """The guard of a network, which visitors share: it is made from the undamaged weights."""
    record = open_record(bench.models, bench.network) if bench.measurable else None
    key = (bench.bundle, bench.network, *bench.models.hashes.values(), record is not None and record.ranges is not None)
    name, ranges = bench.network, record.ranges if record else None
    return heavy_work("Making the guard’s codes …", lambda: _guard(key, bench.models, name, ranges))


@st.cache_resource(show_spinner=False, max_entries=8)
def _guard(key: tuple[object, ...], _models: object, _network: str, _ranges: object) -> Guard:
    from core.faults.view import guard_of

    return guard_of(_models, _network, _ranges)
