"""Sliders for the thresholds, and what the choice costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect.findings import price_told
from pages.detect.price import draw_figures, draw_sites, draw_to_class
from pages.detect.record import Record, draw_source
from pages.shared.records import draw_finding
from pages.shared.records.figures import pick_condition
from pages.shared.visit.stage import on_stage
from pages.shared.words import PURIFIES_NOTHING, number, percent, score_words

if TYPE_CHECKING:
    from core.bundles.calibration import Limits

LOWEST, HIGHEST, STEP = 80.0, 100.0, 0.5
FIRST_ATTACK = "pgd 8/255"
PURIFIED = (
    "Put right, turned wrong: purified attacked scans whose answer is right only defended, or only undefended. "
    "Left standing: wrong, and borderline, so that it stands where purification would put it right."
)


def draw_thresholds(record: Record) -> None:
    """Three sliders, an attack, and what the detector costs there."""
    from core.evaluation.operating_points import operating_point, operating_points_by_site, thresholds_at

    own = record.bundle.limits[record.classifier]
    st.markdown(f"{rule(own)} A stricter detector costs false alarms.")
    with st.container(key="price"):
        chosen = _draw_sliders(record)
        condition = pick_condition("Attack", record.attacks, "operating-point-attack", FIRST_ATTACK)
        if condition is None:
            return
        limits = thresholds_at(record.calibration, chosen, record.fitted)
        cost = operating_point(record.calibration, condition.name, limits)
        draw_finding(price_told(cost))
        if on_stage():
            draw_to_class(cost)
        draw_figures(cost, own.purifies)
    _draw_values(record, limits, chosen)
    draw_sites(operating_points_by_site(record.calibration, condition.name, limits))
    draw_source(
        record,
        "Misses, of all attacked scans: the classifier was right before and is wrong now, and nothing is flagged.",
        *([PURIFIED] if own.purifies else []),
        "An interval of no width means that all scans agree, not that the figure is certain.",
        shown=[condition.name],
    )


def rule(limits: Limits) -> str:
    """What is decided by which score, and whether it is purified for that."""
    if not limits.altered:
        told = "A scan is flagged as soon as one score is above its threshold."
        return told if limits.purifies else f"{told} {PURIFIES_NOTHING}"
    names = " or ".join(score_words(name).name.lower() for name in limits.altered)
    return (
        f"A scan is altered as soon as {names} is above its threshold, which raises no alarm, and flagged where "
        f"decision instability is. {'It is purified on either.' if limits.purifies else PURIFIES_NOTHING}"
    )


def own_percentiles(record: Record) -> dict[str, float]:
    """Score → the slider's place for the bundle's own threshold."""
    thresholds = record.bundle.facts["limits"][record.classifier]["thresholds"]
    return {
        name: min(max(round(entry["percentile"] / STEP) * STEP, LOWEST), HIGHEST) for name, entry in thresholds.items()
    }


def _key(record: Record, name: str) -> str:
    return f"percentile-{record.bundle.name}-{record.classifier}-{name}"


def _reset(places: dict[str, float]) -> None:
    st.session_state.update(places)


def _draw_sliders(record: Record) -> dict[str, float]:
    """Score → percentile, of the scores that were moved away from the bundle's own thresholds."""
    own = own_percentiles(record)
    places = {_key(record, name): place for name, place in own.items()}
    for key, place in places.items():
        st.session_state.setdefault(key, place)
    grid = st.grid(len(own), min_column_width=220)
    moved = {}
    for name, place in own.items():
        with grid.cell():
            value = st.slider(
                score_words(name).name, LOWEST, HIGHEST, step=STEP, format="%.1f %%", key=_key(record, name),
                help="Where the threshold lies: a percentile of the clean calibration scans.",
                persist_state="session",
            )  # fmt: skip
        if value != place:
            moved[name] = value
    st.button(
        "Back to the bundle’s own thresholds", icon=":material/restart_alt:", on_click=_reset, args=(places,),
        disabled=not moved, key="reset-thresholds",
    )  # fmt: skip
    return moved


def _draw_values(record: Record, limits: list[Limits], moved: dict[str, float]) -> None:
    """The thresholds behind the percentiles: five folds have five, so their range."""

    def span(values: list[float]) -> str:
        low, high = number(min(values)), number(max(values))
        return low if low == high else f"{low} to {high} over the folds"

    lines = []
    for name in record.bundle.limits[record.classifier].thresholds:
        how = f"{moved[name]:g} % of clean scans" if name in moved else "the bundle’s own"
        lines.append(f"{score_words(name).name}: {span([own.thresholds[name] for own in limits])} ({how})")
    told = f"Thresholds. {'; '.join(lines)}."
    if limits[0].purifies:
        certainty, instability = ([own.borderline[place] for own in limits] for place in (0, 1))
        told += (
            " An answer to a scan that would be purified is borderline, and stands, where the classifier is at most "
            f"{percent(max(certainty))} sure and the instability at most {span(instability)}."
        )
    st.caption(told)
