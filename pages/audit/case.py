"""One case of an audit: the scan, the estimate, what lies between them, and what can be known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.audit.evidence import evidence_of, in_region, note_region, note_remark
from pages.audit.state import AuditState
from pages.audit.table import answer
from pages.shared.pictures import draw_gain, draw_legend
from pages.shared.regions import region_state
from pages.shared.regions.table import draw_found
from pages.shared.session import Session, current_session
from pages.shared.visit.address import go_to
from pages.shared.words import heading, names_of, number, percent, plain

if TYPE_CHECKING:
    import numpy as np

    from core.report.cases import Case, CaseEvidence

UNKNOWN = (
    "No clean original is known for this scan. Only the distance from the scan to its estimate and the spread over the "
    "seeds can be known; whether the estimate is right can’t be."
)

MOST_LETTERS = 600
ABOUT_REMARK = (
    "Kept with this audit on this machine, for everybody who audits the same scans here, and printed in table and "
    "report. Leave names of patients out."
)
OUTLINE = (
    "No region is outlined on this scan. Open it in Examine, outline one, and come back: here stands what purification "
    "did there against elsewhere."
)


def draw_case(session: Session, audit: AuditState, index: int) -> None:
    """Open a case of the table."""
    case = audit.cases[index]
    with st.container(border=True, key="case"):
        st.subheader(plain(case.name), anchor=False)
        st.caption(f"Scan {index + 1} of the cohort, SHA-256 {case.sha256[:8]}…: so it is found in table and report.")
        if case.problem:
            st.error(plain(case.problem), icon=":material/error:")
            return
        evidence = evidence_of(audit, index)
        _draw_words(case, audit)
        if evidence.estimate is None:
            st.warning(plain(case.refused or ""), icon=":material/block:")
            _draw_refused(evidence, case)
        else:
            _draw_pictures(evidence, evidence.estimate, case)
            _draw_numbers(case)
            _draw_region(session, audit, index, evidence)
        _draw_remark(case, index)
        if st.button("Open in Examine", icon=":material/radiology:", key="case-examine"):
            session.tour = None  # it speaks of another scan, and would attack this one
            session.take(evidence.scan)
            go_to("examine")


def _draw_remark(case: Case, index: int) -> None:
    """What a reviewer notes; the callback holds no scan, as its widget comes and goes with the case."""
    key = f"audit-remark-{case.sha256}"
    st.text_area(
        "Remark", case.remark, max_chars=MOST_LETTERS, key=key, placeholder="What should readers of the report know?",
        help=ABOUT_REMARK, on_change=_keep_remark, args=(index, case.sha256, key),
    )  # fmt: skip


def _keep_remark(index: int, sha256: str, key: str) -> None:
    """Not of finished cases alone: a click on “Audit again” ends the writing, and may be taken first."""
    audit = current_session().state_of(AuditState)
    if audit and index < len(audit.sources) and audit.sources[index].sha256 == sha256:
        note_remark(audit, index, st.session_state[key] or "")


def _draw_words(case: Case, audit: AuditState) -> None:
    if case.refused:
        return
    by = names_of(case.flagged_by)
    with st.container(horizontal=True):
        if case.flagged:
            st.badge(f"Flagged by {by}", icon=":material/warning:", color="orange")
        else:
            st.badge("Not flagged", icon=":material/notifications_off:", color="gray")
        if case.altered:
            st.badge(f"Altered, by {names_of(case.altered_by)}", icon=":material/blur_on:", color="orange")
        if case.changed:
            restored = case.effect == "restored"
            how = {"icon": ":material/healing:", "color": "blue"} if restored else {}
            st.badge(f"Answer {answer(case)}", **({"icon": ":material/change_circle:", "color": "orange"} | how))
        else:
            st.badge(f"Answer {answer(case)}", icon=":material/check_circle:", color="green")
    purified = audit.purifies and (case.flagged or case.altered) and not case.kept_borderline
    source = "on the estimate" if purified else "on the scan as it is"
    agree = round(audit.settings.seeds * (case.agreement or 0))
    st.markdown(
        f"**Decision: {heading(case.label or 'none')}**, {percent(case.probability or 0)}, "
        f"{source}. For this audit it was purified from "
        f"t\\* = {case.t_star}: {agree} of {audit.settings.seeds} seeds give {case.purified}."
    )


def _draw_refused(evidence: CaseEvidence, case: Case) -> None:
    from core.explanation import overlays

    picture = overlays.scan_png(evidence.exam.frame, evidence.scan.spacing)
    st.grid(3, min_column_width=230).image(picture, "Scan", "stretch", output_format="PNG", alt=f"Scan {case.name}")


def _draw_pictures(evidence: CaseEvidence, estimate: np.ndarray, case: Case) -> None:
    from core.explanation import overlays

    gain = draw_gain("case-gain", 5)
    limit = 0.5 / gain
    shape, spacing, pixels = evidence.exam.frame.shape, evidence.scan.spacing, evidence.exam.pixels
    shown = [("Scan", pixels), ("Estimate, not the patient’s scan", estimate)]
    shown += [("Clean original", evidence.reference)] if evidence.reference is not None else []
    grid = st.grid(len(shown) + 1, min_column_width=210)
    for title, image in shown:
        picture = overlays.model_png(image, shape, spacing)
        grid.image(picture, title, "stretch", output_format="PNG", alt=f"{title}: {case.name}")
    with grid.cell():
        picture = overlays.residual_png(pixels, estimate, limit, shape, spacing)
        st.image(
            picture,
            f"Estimate minus scan × {gain}",
            "stretch",
            output_format="PNG",
            alt=f"Difference, {gain} times amplified",
        )
        draw_legend(f"−{number(limit)} darker", f"brighter +{number(limit)}", signed=True)


def _draw_numbers(case: Case) -> None:
    from core.report.rendering import MEASURES

    compared = {
        "Estimate with scan": case.fidelity,
        "Estimate with clean original": case.to_clean,
        "Scan with clean original": case.input_to_clean,
    }
    rows = [
        {"Compared": words} | {title: number(distances[name]) for name, title in MEASURES.items()}
        for words, distances in compared.items()
        if distances
    ]
    st.table(rows, hide_index=True)
    st.markdown(f"Spread over the seeds: **{number(255 * (case.spread or 0))}/255** in a pixel, on average.")
    if case.to_clean is None:
        st.info(UNKNOWN, icon=":material/info:")


def _draw_region(session: Session, audit: AuditState, index: int, evidence: CaseEvidence) -> None:
    """What purification did in the case's region: what the visitor outlined on this scan, else what a file outlines."""
    from core.report.rendering import region_words

    scan = session.scan
    drawn = region_state(session).regions if scan and scan.key == evidence.scan.key else {}
    region = drawn.get(evidence.exam.frame_index) or evidence.region
    if region is None:
        known = region_words(audit.cases[index])
        st.caption(f"In the region that was outlined before: {known}." if known else OUTLINE)
        return
    st.markdown("**In the region of interest**")
    found = in_region(audit, evidence, region)
    draw_found(found, region, evidence.scan.millimetres, evidence.reference is not None)
    if note_region(audit, index, region, found):
        st.rerun()  # the table stands above
