"""What came of a cohort: counts, and every scan in a table, worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.shared.words import heading, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from core.report.cases import Case
    from pages.audit.state import AuditState

ANSWER = "Answer under purification"
REGION, REMARK, ALTERED = "Region of interest", "Remark", "Altered"
OPTIONAL = {REGION: "region", REMARK: "remark", ALTERED: "altered"}  # columns that need something to show
CASE = "audit-case"
TABLE = "audit-table"
# Rows whose answer changed; a tint that text stands out from in both themes. The words say the same.
TINT = "background-color: rgba(224, 122, 30, 0.22)"
RESTORED_TINT = "background-color: rgba(0, 114, 178, 0.16)"
LIVE_ROWS = 8
IN_REGION = "What purification did in the region that a file of the cohort outlines, or that you outlined in Examine."
IN_ANSWER = "Where it is known what a scan shows: restored was wrong and is right, broken was right and is wrong."
NUMBERS = {
    "SSIM": ("%.3f", "Structural similarity of the estimate to the scan: 1 where nothing changed."),
    "SSIM to clean": ("%.3f", "Of the estimate, where the clean scan behind an attacked one is known."),
    "Seeds agree": ("%.0f %%", "Share of purifications with other noise that give the same answer."),
    "Spread": ("%.2f /255", "How far the estimates of the seeds lie apart, in a pixel, on average."),
    "GMSD": ("%.3f", "Gradient-magnitude similarity deviation: 0 where no edge changed."),
    "PSNR": ("%.1f dB", "Peak signal-to-noise ratio of the estimate to the scan."),
    "Confidence": ("%.1f %%", "Probability of the decision."),
    "Seconds": ("%.2f", "What the pipeline took to decide."),
}


def draw_figures(cases: list[Case]) -> None:
    """Counts over what is done so far."""
    from core.report.rendering import figures

    found = figures(cases)
    measured, lowest = found["measured"], found["ssim_worst"]
    shown = (
        ("Flagged", f"{found['flagged']} of {measured}"),
        *([] if found["altered"] is None else [("Altered", f"{found['altered']} of {measured}")]),
        ("Answers changed", f"{found['changed']} of {measured}"),
        ("Seeds disagree", f"{found['divided']} of {measured}"),
        ("Lowest SSIM", "none" if lowest is None else number(lowest)),
    )
    grid = st.grid(len(shown), min_column_width=165)
    for title, value in shown:
        grid.metric(title, value, border=True)
    remarks = []
    if found["changed"]:
        count = found["changed_unflagged"] or "none"
        remarks.append(f"Of the changed answers, {count} belong to scans against which the detector found nothing.")
    if found["restored"] or found["broken"]:
        counts = found["restored"] or "no", found["broken"] or "none"
        told = "Where it is known what the scan shows, purification restored **{}** right answers and broke **{}**."
        remarks.append(told.format(*counts))
    out = [(found["refused"], "refused"), (found["unreadable"], "could not be opened")]
    if any(count for count, _ in out):
        words = ", ".join(f"{count} {how}" for count, how in out if count)
        remarks.append(f"Without an estimate: {words}. They stand at the end of the table.")
    if found["regions"]:
        words = ", ".join(f"{count} {verdict}" for verdict, count in found["regions"].items())
        remarks.append(f"Regions of interest: {words}.")
    if remarks:
        st.markdown(" ".join(remarks))


def draw_table(audit: AuditState) -> None:
    """The table, and the choice of a case to open, by a click or by name."""
    order = audit.in_order()
    how = {"key": TABLE, "on_select": lambda: _choose(order), "selection_mode": "single-cell"}
    about = "Every scan of the cohort with its decision and fidelity, worst first"
    _draw_frame([audit.cases[index] for index in order], about, **how)
    st.caption("Click a row to open the case, or a column’s heading to sort. Changed answers come first.")
    if st.session_state.get(CASE) not in order:
        st.session_state[CASE] = None
    st.selectbox(
        "Open a case",
        order,
        format_func=lambda index: _option(index, audit.cases[index]),
        key=CASE,
        placeholder="Click a row above, or choose a scan here",
    )


def draw_live_table(audit: AuditState) -> None:
    """The worst cases so far, to look at only."""
    rows = [audit.cases[index] for index in audit.in_order()[:LIVE_ROWS]]
    if rows:
        _draw_frame(rows, "The worst scans so far")


def _draw_frame(cases: list[Case], about: str, **how: Any) -> None:
    styled = _frame(cases).style.apply(_tinted, axis=None)
    st.dataframe(styled, column_config=_columns(), hide_index=True, placeholder="", alt=about, **how)


def answer(case: Case) -> str:
    """What purification did to the classifier's answer, in words."""
    if case.problem:
        return "could not be opened"
    if case.refused:
        return "refused"
    return f"{case.effect}: {case.undefended} → {case.purified}" if case.changed else f"kept: {case.purified}"


def _frame(cases: list[Case]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame([_row(case) for case in cases])
    empty = [name for name, of in OPTIONAL.items() if all(getattr(case, of) in (None, "") for case in cases)]
    return frame.drop(columns=empty, errors="ignore")


def _row(case: Case) -> dict[str, Any]:
    from core.report.rendering import region_words

    fidelity = case.fidelity or {}
    return {
        "Scan": case.name,
        "Decision": _decision(case),
        ANSWER: answer(case),
        "Flagged": "yes, answer stands" if case.flagged and case.kept_borderline else "yes" if case.flagged else "no",
        ALTERED: "yes" if case.altered else "no",
        REGION: region_words(case),
        "SSIM": fidelity.get("ssim"),
        "SSIM to clean": (case.to_clean or {}).get("ssim"),
        "Seeds agree": _times(100, case.agreement),
        "Spread": _times(255, case.spread),
        "GMSD": fidelity.get("gmsd"),
        "PSNR": fidelity.get("psnr"),
        "Confidence": _times(100, case.probability),
        "Seconds": case.seconds,
        REMARK: case.remark,
    }


def _decision(case: Case) -> str:
    return "none" if case.label is None else f"{heading(case.label)}, {percent(case.probability or 0)}"


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _tinted(frame: pd.DataFrame) -> pd.DataFrame:
    styles = frame.astype(str).map(lambda _: "")
    styles[frame[ANSWER].str.startswith(("changed", "broken"))] = TINT
    styles[frame[ANSWER].str.startswith("restored")] = RESTORED_TINT
    return styles


def _columns() -> dict[str, Any]:
    column = st.column_config
    texts = {
        "Scan": column.TextColumn(width=185), "Decision": column.TextColumn(width=150),
        ANSWER: column.TextColumn(width=215, help=IN_ANSWER), REGION: column.TextColumn(help=IN_REGION),
    }  # fmt: skip
    return texts | {name: column.NumberColumn(format=form, help=about) for name, (form, about) in NUMBERS.items()}


def _option(index: int, case: Case) -> str:
    return f"{index + 1} · {case.name} · {answer(case)}"


def _choose(order: list[int]) -> None:
    """Open the case of the row that was clicked."""
    selection = st.session_state[TABLE]["selection"]
    rows = [row for row, _ in selection["cells"]]
    if rows and rows[0] < len(order):
        st.session_state[CASE] = order[rows[0]]
