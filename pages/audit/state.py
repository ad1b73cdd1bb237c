"""One visitor's audit: which cohort, what is done of it, and who does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.jobs import Run
from pages.shared.runtime import bundle, engine, heavy_work

if TYPE_CHECKING:
    from core.report.cases import AuditSettings, Case, Source, Study
    from core.report.cohort import Keeper
    from pages.shared.session import Session

KEY = "audit"
STOP_SECONDS = 1.0


@dataclass
class Audit:
    """A cohort and what is known of it.

    Attributes
    ----------
    choices : tuple
        What it depends on: where the scans come from, bundle, classifier, seed.
    title : str
        The cohort in words; it may hold file names.
    sources, bundle, settings
        The scans, and how they are treated.
    keeper : Keeper
        Where finished cases are kept.
    cases : dict of int to Case
        Place in the cohort → what is done.
    run : Run or None
        Who does it, or did.
    opened : tuple of int and Study, or None
        The case that is looked at; only one is kept, so that memory stays flat.
    """

    choices: tuple[object, ...]
    title: str
    sources: tuple[Source, ...]
    bundle: str
    settings: AuditSettings
    keeper: Keeper
    cases: dict[int, Case]
    run: Run[tuple[int, Case]] | None = None
    opened: tuple[int, Study] | None = None

    @property
    def running(self) -> bool:
        """Whether more cases are to come."""
        return self.run is not None and not self.run.done

    @property
    def complete(self) -> bool:
        """Whether every scan is done."""
        return len(self.cases) == len(self.sources)

    def take(self, finished: tuple[int, Case]) -> None:
        """Note one more case."""
        index, case = finished
        self.cases[index] = case

    def in_order(self) -> list[int]:
        """Places of the cases that are done, worst first."""
        from core.report.cases import worst_first

        known = dict(self.cases)  # once: the worker adds to it meanwhile
        places = {id(case): index for index, case in known.items()}
        return [places[id(case)] for case in worst_first(list(known.values()))]


def current_audit() -> Audit | None:
    """The visitor's audit, if any."""
    audit: Audit | None = st.session_state.get(KEY)
    if audit and audit.run and audit.run.stopped:
        audit.run.wait(STOP_SECONDS)  # it is at its last scan: not worth drawing it as running once more
    return audit


def open_audit(
    session: Session, choices: tuple[object, ...], title: str, find: Callable[[], tuple[Source, ...]]
) -> Audit:
    """The audit of a cohort: the one that is open where nothing changed, else a new one with what is kept of it.

    `find` lists the scans, and may raise ScanError.
    """
    from core.report.cases import AuditSettings

    name, classifier, seed = session.bundle, bundle(session.bundle).classifier_name(session.classifier), session.seed
    choices = (*choices, name, classifier, seed)
    audit = current_audit()
    # Always drawn: a message that comes and goes would move what follows, and the table would forget its order.
    with st.container():
        if audit is None or audit.choices != choices:
            close_audit()
            settings = AuditSettings(classifier, seed)
            audit = heavy_work("Opening the cohort …", lambda: _opened(choices, title, find, name, settings))
            st.session_state[KEY] = audit
    return audit


def _opened(
    choices: tuple[object, ...],
    title: str,
    find: Callable[[], tuple[Source, ...]],
    name: str,
    settings: AuditSettings,
) -> Audit:
    from core.report.cohort import Keeper

    sources = find()
    keeper = Keeper(sources, bundle(name), settings)
    return Audit(choices, title, sources, name, settings, keeper, dict(keeper.known))


def close_audit() -> None:
    """Stop what runs, and forget what was open; finished cases stay kept."""
    audit: Audit | None = st.session_state.pop(KEY, None)
    if audit and audit.run:
        audit.run.stop()


def begin(audit: Audit) -> None:
    """Do what is not done yet; of a complete audit everything again."""
    from core.report.cohort import cohort_cases

    if audit.complete:
        audit.keeper.forget()
        audit.cases = {}
        audit.opened = None
    steps = cohort_cases(audit.sources, bundle(audit.bundle), audit.settings, audit.keeper, done=set(audit.cases))
    audit.run = Run(engine().worker, steps, audit.take)
    audit.run.start()


def studied(audit: Audit, index: int) -> Study:
    """Everything about one case, computed again from its file: no pictures are kept."""
    from core.report.cases import study

    with st.container():  # always drawn, as above
        if audit.opened is None or audit.opened[0] != index:
            source, models = audit.sources[index], bundle(audit.bundle)
            result = heavy_work("Opening the case …", lambda: study(source, models, audit.settings))
            audit.opened = (index, result)
    return audit.opened[1]
