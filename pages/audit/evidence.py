"""One case that is looked at: everything about it, its region, and what reviewers note."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from pages.audit.state import AuditState
from pages.shared.runtime import heavy_work

if TYPE_CHECKING:
    from core.fidelity.region import Region
    from core.fidelity.region_fidelity import RegionFidelity
    from core.report.cases import Case, CaseEvidence


def evidence_of(audit: AuditState, index: int) -> CaseEvidence:
    """Everything about one case, computed again from its file: no pictures are kept."""
    from core.report.cases import case_evidence

    with st.container():  # always drawn, as where the cohort is opened
        if audit.opened is None or audit.opened[0] != index:
            source, models = audit.sources[index], audit.models
            result = heavy_work("Opening the case …", lambda: case_evidence(source, models, audit.settings))
            audit.opened = (index, result)
    return audit.opened[1]


def in_region(audit: AuditState, evidence: CaseEvidence, region: Region) -> RegionFidelity | str:
    """What purification did in a region of the case that is looked at, or why that can't be said; computed once."""
    from core.report.cases import measured_in

    if audit.measured is None or audit.measured[0] is not region:
        audit.measured = region, measured_in(evidence, region)
    return audit.measured[1]


def note_region(audit: AuditState, index: int, region: Region, found: RegionFidelity | str) -> bool:
    """Keep what was found in a case's region; return whether it wasn't known."""
    from core.report.regions import region_numbers

    numbers = region_numbers(region, found)
    if audit.cases[index].region == numbers:
        return False
    audit.keep(index, replace(_as_kept(audit, index), region=numbers))
    return True


def note_remark(audit: AuditState, index: int, text: str) -> None:
    """Keep what a reviewer notes on a case, with the audit."""
    remark = text.strip()
    if audit.cases[index].remark != remark:
        audit.keep(index, replace(_as_kept(audit, index), remark=remark))


def _as_kept(audit: AuditState, index: int) -> Case:
    """A case with what other visitors noted on it meanwhile, which writing it again would else undo."""
    return audit.store.now().get(index, audit.cases[index])
