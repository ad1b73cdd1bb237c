"""One visitor's audit: which cohort, what is done of it, and who does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.page_state import PageState
from pages.shared.runtime import bundle, heavy_work

if TYPE_CHECKING:
    from core.report.cases import AuditSettings, Case, CaseEvidence, Source
    from core.report.cohort import CaseStore
    from pages.shared.session import Session

SAMPLES = "Sample cohort"


@dataclass(kw_only=True)
class AuditState(PageState):
    """A cohort and what is known of it.

    Attributes
    ----------
    title : str
        The cohort in words; it may hold file names.
    sources, bundle, settings
        The scans, and how they are treated.
    store : CaseStore
        Where finished cases are kept.
    cases : dict of int to Case
        Place in the cohort → what is done.
    opened : tuple of int and CaseEvidence, or None
        The case that is looked at; only one is kept, so that memory stays flat.
    """

    title: str
    sources: tuple[Source, ...]
    bundle: str
    settings: AuditSettings
    store: CaseStore
    cases: dict[int, Case]
    opened: tuple[int, CaseEvidence] | None = None

    @property
    def ours(self) -> bool:
        """Whether it is our own sample cohort, whose names are nobody's."""
        return self.choices[0] == SAMPLES

    @property
    def complete(self) -> bool:
        """Whether every scan is done."""
        return len(self.cases) == len(self.sources)

    def outlives(self, attacked_copy: bool) -> bool:
        """It is about a cohort, whatever scan is open."""
        return True

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


def open_audit(
    session: Session, choices: tuple[object, ...], title: str, find: Callable[[], tuple[Source, ...]]
) -> AuditState:
    """The audit of a cohort: the one that is open where nothing changed, else a new one with what is kept of it.

    `find` lists the scans, and may raise ScanError.
    """
    from core.report.cases import AuditSettings

    name, classifier, seed = session.bundle, bundle(session.bundle).classifier_name(session.classifier), session.seed
    choices = (*choices, name, classifier, seed)
    audit = session.current(AuditState, choices)
    # Always drawn: a message that comes and goes would move what follows, and the table would forget its order.
    with st.container():
        if audit is None:
            settings = AuditSettings(classifier, seed)
            opened = heavy_work("Opening the cohort …", lambda: _opened(choices, title, find, name, settings))
            audit = session.keep(opened)
    return audit


def _opened(
    choices: tuple[object, ...],
    title: str,
    find: Callable[[], tuple[Source, ...]],
    name: str,
    settings: AuditSettings,
) -> AuditState:
    from core.report.cohort import CaseStore

    sources = find()
    store = CaseStore(sources, bundle(name), settings)
    return AuditState(
        choices=choices,
        title=title,
        sources=sources,
        bundle=name,
        settings=settings,
        store=store,
        cases=dict(store.known),
    )


def begin(audit: AuditState) -> None:
    """Do what is not done yet; of a complete audit everything again."""
    from core.report.cohort import cohort_cases

    if audit.complete:
        audit.store.forget()
        audit.cases = {}
        audit.opened = None
    steps = cohort_cases(audit.sources, bundle(audit.bundle), audit.settings, audit.store, done=set(audit.cases))
    audit.start(steps, audit.take)


def evidence_of(audit: AuditState, index: int) -> CaseEvidence:
    """Everything about one case, computed again from its file: no pictures are kept."""
    from core.report.cases import case_evidence

    with st.container():  # always drawn, as above
        if audit.opened is None or audit.opened[0] != index:
            source, models = audit.sources[index], bundle(audit.bundle)
            result = heavy_work("Opening the case …", lambda: case_evidence(source, models, audit.settings))
            audit.opened = (index, result)
    return audit.opened[1]
