"""What purification buys and what it costs, as measured: accuracy against likeness to the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.purify import charts
from pages.purify.trade_words import CURVE, NAMES, full_name, slow_told, told
from pages.shared.charts import CONFIG
from pages.shared.records import draw_command, draw_finding
from pages.shared.words import SPLITS, plain

if TYPE_CHECKING:
    from core import Bundle
    from core.evaluation.tradeoff import Point, Tradeoff

NOT_YET = "Not measured with the bundle’s weights of today"
NONE = "not recorded"
LESION = " “Lesion kept”: share of the outlined lesions whose contrast stays within 10 %."


def draw_tradeoff(models: Bundle, wanted: str | None) -> None:
    """The curve over t, the other purifiers, and every figure in a table."""
    from core.evaluation.tradeoff import tradeoff

    classifier = models.classifier_name(wanted)
    record = tradeoff(models, classifier)
    if not record.points:
        st.info(f"{NOT_YET}: no purifier was measured.", icon=":material/info:")
        return
    st.markdown(
        "More noise washes more of an attack out, and more of the scan with it. Each point is a purifier on every "
        "scan, flagged or not; the attacker knew the classifier and not the purifier."
    )
    draw_finding(told(record))
    if not record.compared:
        st.info(f"Other purifiers, and what becomes of lesions: {NOT_YET.lower()}.", icon=":material/info:")
    if curves := _curves(record):
        st.plotly_chart(
            charts.trade_chart(curves), height=charts.TRADE_HEIGHT, config=CONFIG, key="trade",
            alt="Accuracy against SSIM for each noise level, clean and under attack",
        )  # fmt: skip
    if record.compared:
        _draw_others(record)
    with st.expander("All figures of the purifiers", icon=":material/table:"):
        st.table([_row(points, record.compared) for points in _by_method(record).values()], hide_index=True)
    _draw_source(models, classifier, record)


def _curves(record: Tradeoff) -> dict[str, list[tuple[str, Point]]]:
    """One-step denoising over t, a curve a condition."""
    most = max((point.accuracy.n for point in record.points if point.method == CURVE), default=0)
    curves: dict[str, list[tuple[str, Point]]] = {}
    for condition, name in NAMES.items():
        points = [point for point in record.points if (point.method, point.condition) == (CURVE, condition)]
        points = sorted((point for point in points if point.accuracy.n == most), key=lambda point: point.t or 0)
        if points:
            curves[name] = [(f"t={point.t}", point) for point in points]
    return curves


def _draw_others(record: Tradeoff) -> None:
    """All purifiers under one attack, and which of those measured on the most scans are on the Pareto front."""
    from core.evaluation.tradeoff import pareto
    from core.purification.catalogue import PURIFIERS

    st.subheader("The purifiers side by side", anchor=False)
    conditions = [name for name in NAMES if any(point.condition == name for point in record.points)]
    condition = st.segmented_control(
        "Under", conditions, default=conditions[-1], required=True, key="trade-condition", format_func=NAMES.__getitem__
    )
    counts = sorted({point.accuracy.n for point in record.points}, reverse=True)
    # One-step denoising has its curve above; here each stands once, and not again on fewer scans.
    under = [point for point in record.points if point.condition == condition]
    shown = [point for point in under if point.t == PURIFIERS[point.method].t]
    fullest = [point for point in shown if point.accuracy.n == counts[0]]
    known = {point.method for point in fullest}
    groups: dict[str, list[tuple[str, Point]]] = {}
    for count in counts:
        points = [point for point in shown if point.accuracy.n == count]
        points = [point for point in points if point in fullest or point.method not in known]
        named = [(_name(point), point) for point in sorted(points, key=lambda point: point.ssim)]
        groups[f"on {count} scans"] = named
    figure = charts.trade_chart(groups, pareto(fullest))
    st.plotly_chart(
        figure, height=charts.TRADE_HEIGHT, config=CONFIG, key="trade-others",
        alt=f"Accuracy against SSIM of every purifier, {NAMES[condition]}",
    )  # fmt: skip
    if found := slow_told(record.points, condition):
        st.markdown(found)


def _name(point: Point) -> str:
    return f"{point.method} t={point.t}" if point.method == CURVE else point.method


def _by_method(record: Tradeoff) -> dict[tuple[object, ...], list[Point]]:
    rows: dict[tuple[object, ...], list[Point]] = {}
    for point in record.points:
        rows.setdefault((point.method, point.t, point.steps, point.accuracy.n), []).append(point)
    return rows


def _row(points: list[Point], compared: bool) -> dict[str, str]:
    first, by = points[0], {point.condition: point for point in points}
    row = {"Purifier": full_name(first), "Scans": str(first.accuracy.n)}
    row |= {f"{name}, %": _share(by[key]) if key in by else NONE for key, name in NAMES.items()}
    row |= {f"SSIM, {name}": f"{by[key].ssim:.3f}" if key in by else NONE for key, name in list(NAMES.items())[::2]}
    if compared:
        row["Lesion kept, no attack"] = NONE if first.lesion is None else f"{100 * first.lesion:.0f} %"
        row["Time"] = NONE if first.milliseconds is None else _time(first.milliseconds)
    return row


def _time(milliseconds: float) -> str:
    return "under 1 ms" if milliseconds < 1 else f"{milliseconds:,.0f} ms"


def _share(point: Point) -> str:
    value, low, high, _ = point.accuracy
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _draw_source(models: Bundle, classifier: str, record: Tradeoff) -> None:
    split, answering = str(models.facts.get("calibrated", {}).get("split", "")), models.answering(classifier)
    # The comparison asks one classifier throughout; the recorded answers are the pipeline's own.
    who = classifier if record.compared or answering == classifier else f"{classifier}, on estimates {answering}"
    st.caption(
        f"{plain(SPLITS.get(split, split)).capitalize()} split, classifier {plain(who)}. Intervals: 95 %, "
        f"bootstrap over near-duplicate groups.{LESION if record.compared else ''}"
    )
    if record.command:
        draw_command(record.command, "the trade-off")
