"""Sliders for the thresholds, and what the choice costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.detect.findings import price_told
from pages.detect.record import Record, draw_source
from pages.shared.pictures import draw_large_number
from pages.shared.records import draw_finding
from pages.shared.records.figures import full_text, pick_condition, share_text, span_text
from pages.shared.visit.stage import on_stage, staged
from pages.shared.words import number, percent, score_words

if TYPE_CHECKING:
    from core.bundles.calibration import Limits
    from core.evaluation.operating_points import OperatingPoint

LOWEST, HIGHEST, STEP = 80.0, 100.0, 0.5
FIRST_ATTACK = "pgd 8/255"


def draw_thresholds(record: Record) -> None:
    """Three sliders, an attack, and what the detector costs there."""
    from core.evaluation.operating_points import operating_point, operating_points_by_site, thresholds_at

    st.markdown(f"{rule(record.bundle.limits[record.classifier].altered)} A stricter detector costs false alarms.")
    with st.container(key="price"):
        chosen = _draw_sliders(record)
        condition = pick_condition("Attack", record.attacks, "operating-point-attack", FIRST_ATTACK)
        if condition is None:
            return
        limits = thresholds_at(record.calibration, chosen, record.fitted)
        cost = operating_point(record.calibration, condition.name, limits)
        draw_finding(price_told(cost))
        if on_stage():
            _draw_to_class(cost)
        _draw_figures(cost)
    _draw_values(record, limits, chosen)
    _draw_sites(operating_points_by_site(record.calibration, condition.name, limits))
    draw_source(
        record,
        "Misses, of all attacked scans: the classifier was right before and is wrong now, and nothing is flagged.",
        "Put right, turned wrong: purified attacked scans whose answer is right only defended, or only undefended. "
        "Left standing: wrong, and borderline, so that it stands where purification would put it right.",
        "An interval of no width means that all scans agree, not that the figure is certain.",
    )


def rule(altered: Sequence[str]) -> str:
    """What is decided by which score; altered: the scores that raise no alarm."""
    if not altered:
        return "A scan is flagged as soon as one score is above its threshold."
    return (
        f"A scan is altered as soon as {' or '.join(score_words(name).name.lower() for name in altered)} is above its "
        "threshold, which raises no alarm, and flagged where decision instability is. It is purified on either."
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
    certainty, instability = ([own.borderline[place] for own in limits] for place in (0, 1))
    st.caption(
        f"Thresholds. {'; '.join(lines)}. An answer to a scan that would be purified is borderline, and stands, where "
        f"the classifier is at most {percent(max(certainty))} sure and the instability at most {span(instability)}."
    )


def _draw_to_class(cost: OperatingPoint) -> None:
    """What one gives and what one gets, large."""
    figures = (
        ("Clean scans flagged in vain", cost.false_alarms),
        ("Attacked scans missed", cost.misses),
        ("Attacked: right undefended", cost.undefended_attacked),
        ("Attacked: right defended", cost.defended_attacked),
    )
    with staged():
        grid = st.grid(2, min_column_width=200)
        for title, share in figures:
            with grid.container(border=True, gap="xxsmall"):
                st.markdown(f"**{title}**")
                draw_large_number(share_text(share), f"{title}: {share_text(share)}")


def _draw_figures(cost: OperatingPoint) -> None:
    figures = (
        ("False alarms", cost.false_alarms),
        ("Misses", cost.misses),
        ("Attacked and flagged", cost.flagged),
        ("Clean and altered", cost.altered_clean),
        ("Attacked and altered", cost.altered),
        ("Defended, clean", cost.defended_clean),
        ("Defended, attacked", cost.defended_attacked),
        ("Undefended, attacked", cost.undefended_attacked),
    )
    with st.container(key="operating-point"):
        grid = st.grid(4, min_column_width=165)
        for title, share in ((title, share) for title, share in figures if share):
            with grid.container(border=True, height="stretch", gap=None):
                st.metric(title, share_text(share))
                st.markdown(span_text(share))
        with grid.container(border=True, height="stretch", gap=None):
            st.metric("Put right by purification", f"{cost.turned_right}")
            st.markdown(f"scans; turned wrong: {cost.turned_wrong}; left standing: {cost.let_stand}")
        with grid.container(border=True, height="stretch", gap=None):
            st.metric("Time a clean scan", f"{cost.seconds:.2f} s")
            st.markdown("mean, with purification")


def _draw_sites(costs: Mapping[str, OperatingPoint]) -> None:
    """The same of each site's scans, where the record tells of several."""
    if not costs:
        return
    rows = [
        {
            "Site": site,
            "Scans": f"{cost.false_alarms.n}",
            "False alarms": full_text(cost.false_alarms),
            "Misses": full_text(cost.misses),
            "Attacked and flagged": full_text(cost.flagged),
        }
        | ({"Clean and altered": full_text(cost.altered_clean)} if cost.altered_clean else {})
        | ({"Attacked and altered": full_text(cost.altered)} if cost.altered else {})
        | {"Defended, clean": full_text(cost.defended_clean), "Defended, attacked": full_text(cost.defended_attacked)}
        for site, cost in costs.items()
    ]
    st.subheader("By site", anchor=False)
    st.table(rows, hide_index=True)
