"""One visitor's audit: which cohort, what is done of it, and who does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import profile_in_force, with_thresholds
from pages.shared.job_status import Progress
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle, heavy_work

if TYPE_CHECKING:
    from core import Bundle
    from core.defence.profile import Profile
    from core.fidelity.region import Region
    from core.fidelity.region_fidelity import RegionFidelity
    from core.report.cases import AuditSettings, Case, CaseEvidence
    from core.report.rendering import Pictures
    from core.report.sources import Source
    from core.report.store import CaseStore
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
    profile : Profile or None
        The site's thresholds, where they aren't the bundle's own.
    opened : tuple of int and CaseEvidence, or None
        The case that is looked at; only one is kept, so that memory stays flat.
    pictures : dict of str to Pictures
        SHA-256 of the worst cases → what a report draws of them: a second report needn't compute them again.
    remarks : dict of str to str
        SHA-256 → what was remarked here, for a disk that can't keep it.
    measured : tuple or None
        In which region of it was measured last, and what was found.
    """

    title: str
    sources: tuple[Source, ...]
    bundle: str
    settings: AuditSettings
    store: CaseStore
    cases: dict[int, Case]
    profile: Profile | None = None
    opened: tuple[int, CaseEvidence] | None = None
    pictures: dict[str, Pictures] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    measured: tuple[Region, RegionFidelity | str] | None = None

    @property
    def models(self) -> Bundle:
        """The bundle, with the thresholds that hold here."""
        return with_thresholds(bundle(self.bundle), self.profile)

    @property
    def purifies(self) -> bool:
        """Whether the decision is ever the answer to an estimate."""
        models = self.models
        return models.limits_of(models.classifier_name(self.settings.classifier)).purifies

    @property
    def ours(self) -> bool:
        """Whether it is our own sample cohort, whose names are nobody's."""
        return self.choices[0] == SAMPLES

    @property
    def complete(self) -> bool:
        """Whether every scan is done."""
        return len(self.cases) == len(self.sources)

    def progress(self) -> Progress:
        """So many of all scans, of which the job that runs need not have done all."""
        done, total = len(self.cases), len(self.sources)
        return Progress(done, total, f"{done} of {total} scans", before=max(0, done - self.begun.count))

    def outlives(self, attacked_copy: bool) -> bool:
        """It is about a cohort, whatever scan is open."""
        return True

    def take(self, finished: tuple[int, Case]) -> None:
        """Note one more case, with what was remarked on it before, or by others meanwhile."""
        index, case = finished
        self.cases[index] = case
        if remark := self.store.remarks().get(case.sha256, self.remarks.get(case.sha256)):
            self.cases[index] = replace(case, remark=remark)

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
    profile = profile_in_force(session)
    choices = (*choices, name, classifier, seed, profile and profile.key)
    audit = session.current(AuditState, choices)
    # Always drawn: a message that comes and goes would move what follows, and the table would forget its order.
    with st.container():
        if audit is None:
            settings = AuditSettings(classifier, seed)
            opened = heavy_work("Opening the cohort …", lambda: _opened(choices, title, find, name, settings, profile))
            audit = session.keep(opened)
    return audit


def _opened(
    choices: tuple[object, ...],
    title: str,
    find: Callable[[], tuple[Source, ...]],
    name: str,
    settings: AuditSettings,
    profile: Profile | None,
) -> AuditState:
    from core.report.store import CaseStore

    sources = find()
    store = CaseStore(sources, with_thresholds(bundle(name), profile), settings)
    return AuditState(
        choices=choices,
        title=title,
        sources=sources,
        bundle=name,
        settings=settings,
        store=store,
        cases=dict(store.known),
        profile=profile,
    )


def begin(audit: AuditState) -> None:
    """Do what is not done yet; of a complete audit everything again."""
    from core.report.cohort import cohort_cases

    if audit.complete:
        audit.remarks = {case.sha256: case.remark for case in audit.cases.values() if case.remark}
        audit.pictures.clear()
        audit.store.forget(audit.remarks)
        audit.cases = {}
        audit.opened = None
    steps = cohort_cases(audit.sources, audit.models, audit.settings, audit.store, done=set(audit.cases))
    audit.start(steps, audit.take)
