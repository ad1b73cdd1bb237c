"""What the bundle says of the scan on the table, with the network as it is and as this visitor has damaged it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.recorded import open_record
from pages.faults.state import Answer, FaultsState
from pages.shared.examinations import examination, models_in_force
from pages.shared.runtime import heavy_work

if TYPE_CHECKING:
    from core import Examination
    from core.faults.guard import Guard
    from pages.shared.session import Session


def current_answer(session: Session, state: FaultsState) -> Answer:
    """The visitor's result; computed only where the last one is of something else."""
    asked = _asked(session, state)
    scan = (session.choices(), asked)
    choices = (*scan, tuple(state.flips), state.guard)
    known = state.answer
    if known is None or known.choices != choices:
        before = known.before if known and known.choices[: len(scan)] == scan else _before(session, asked)
        state.answer = _answered(session, state, choices, asked, before)
    return state.answer


def _asked(session: Session, state: FaultsState) -> str:
    """Which classifier answers: the damaged one, or the visitor's where the autoencoder is damaged."""
    return state.network if state.measurable else state.models.classifier_name(session.classifier)


def _before(session: Session, asked: str) -> Examination:
    from core.faults.view import answered

    models = models_in_force(session)
    if asked == models.classifier_name(session.classifier) and asked in models.examining:
        return examination(session)
    scan, wanted = session.scan, {"frame": session.frame, "window": session.window, "seed": session.seed}
    return heavy_work("Asking the network …", lambda: answered(scan, models, asked, **wanted))


def _answered(
    session: Session, state: FaultsState, choices: tuple[object, ...], asked: str, before: Examination
) -> Answer:
    from core.faults import network_digest
    from core.faults.view import answered_with

    scan, wanted = session.scan, {"frame": session.frame, "window": session.window, "seed": session.seed}
    models, flips, mode = models_in_force(session), tuple(state.flips), state.guard
    guard = page_guard(state) if flips and mode != "off" else None

    def work() -> Answer:
        after, watch = before, None
        if flips:
            how = {"guard": guard, "repair": mode == "repair", **wanted}
            after, watch = answered_with(scan, models, state.network, flips, asked, **how)
        return Answer(choices, before, after, watch, network_digest(state.module))

    answer = heavy_work("Asking the damaged network …", work)
    state.digest = state.digest or answer.digest
    return answer


def page_guard(state: FaultsState) -> Guard:
    """The guard of a network, which visitors share: it is made from the undamaged weights."""
    record = open_record(state.models, state.network) if state.measurable else None
    key = (state.bundle, state.network, *state.models.hashes.values(), record is not None and record.ranges is not None)
    name, ranges = state.network, record.ranges if record else None
    return heavy_work("Making the guard’s codes …", lambda: _guard(key, state.models, name, ranges))


@st.cache_resource(show_spinner=False, max_entries=8)
def _guard(key: tuple[object, ...], _models: object, _network: str, _ranges: object) -> Guard:
    from core.faults.view import guard_of

    return guard_of(_models, _network, _ranges)
