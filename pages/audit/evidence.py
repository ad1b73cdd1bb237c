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
    from core.report.cases import CaseEvidence


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
    kept = audit.store.now().get(index)  # with what others noted meanwhile, which writing it again would else undo
    audit.cases[index] = replace(kept or audit.cases[index], region=numbers)
    if kept:  # else another has begun everything again, and an old case must not stand among the new ones
        audit.store.keep(audit.cases[index])
    return True


def note_remark(audit: AuditState, index: int, text: str) -> None:
    """Keep what a reviewer notes on a scan, with the audit; the case may be in the making again."""
    sha256, remark = audit.sources[index].sha256, text.strip()
    case = audit.cases.get(index)
    if case and case.remark == remark:
        return
    audit.remarks[sha256] = remark
    audit.store.note(sha256, remark)
    if index in audit.cases:
        audit.cases[index] = replace(audit.store.now().get(index, audit.cases[index]), remark=remark)
