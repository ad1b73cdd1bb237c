"""What fitting a site's thresholds came to: before and after, what it promises, and what it costs in detection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.detect import charts
from pages.detect.record import Record
from pages.detect.scatter import UP, across_of, beyond_words
from pages.shared.charts import CONFIG
from pages.shared.downloads import draw_profile_download
from pages.shared.records.figures import condition_title, share_text
from pages.shared.words import number, score_words, unbroken

if TYPE_CHECKING:
    from core.bundles.calibration import Limits
    from core.defence.profile import Profile
    from core.evaluation.operating_points import Share
    from core.report.site_scans import SiteScans
    from pages.shared.session import Session

COST = ("pgd 4/255", "pgd 8/255")


def draw_result(session: Session, record: Record, profile: Profile, found: SiteScans) -> None:
    """Figures, the promise, the plot, the price, and the profile to take or use."""
    from core.defence.profile import RECOMMENDED_SCANS

    group = next(iter(profile.groups.values()))
    today = {"Flagged today": found.flagged} | ({"Altered today": found.altered} if len(profile.groups) > 1 else {})
    today = today if record.own else {}
    grid = st.grid(2 + len(today), min_column_width=140)
    grid.metric("Scans that count", f"{profile.scans}", border=True)
    for title, count in today.items():
        grid.metric(title, f"{100 * count / profile.scans:.1f} %", border=True)
    grid.metric("With yours", f"≤ {100 * group.alpha:g} %" + (" each" if len(profile.groups) > 1 else ""), border=True)
    st.markdown(
        f"**The promise.** {unbroken(profile.promise)} It holds for scans like these: the same scanners and sequences."
    )
    if profile.scans < RECOMMENDED_SCANS:
        st.info(
            f"{profile.scans} scans give a wide bound; {RECOMMENDED_SCANS} or more narrow it.", icon=":material/info:"
        )
    _draw_take(session, profile)
    if not record.own:
        st.subheader("Your thresholds", anchor=False)
        _draw_thresholds(profile, {})
        return
    st.subheader("Your scans and both sets of thresholds", anchor=False)
    limits = record.bundle.limits[record.classifier]
    shipped, across = limits.thresholds, across_of(limits)
    clouds = [charts.Cloud("your scans", found.scores[across], found.scores[UP])]
    clean = record.calibration.clean
    clouds.append(charts.Cloud("the bundle’s clean scans", clean[across], clean[UP]))
    st.plotly_chart(
        charts.scatter(clouds, (across, UP), profile.thresholds, None, shipped),
        height=charts.HEIGHT,
        config=CONFIG,
        key="site-scatter",
        alt="Scores of your scans and of the bundle’s clean scans; thresholds as shipped dotted, yours dashed",
    )
    st.caption(
        f"Dotted: as shipped. Dashed: yours. {beyond_words(limits, 'a line')} A few of your own scans may lie there: "
        "the promise is about scans to come."
    )
    _draw_thresholds(profile, shipped)
    _draw_cost(record, profile)


def _draw_take(session: Session, profile: Profile) -> None:
    with st.container(horizontal=True):
        if session.profile == profile:
            st.button("In use", icon=":material/check:", key="use-profile", disabled=True)
        else:
            st.button(
                "Use it now", icon=":material/tune:", type="primary", key="use-profile",
                on_click=session.choose_profile, args=(profile,),
            )  # fmt: skip
        draw_profile_download(profile)
    st.caption(
        "The profile holds thresholds and counts alone: no pixels, no file names. What is refused as no scan of "
        "this kind stays refused."
    )


def _draw_thresholds(profile: Profile, shipped: dict[str, float]) -> None:
    rows = [
        {"Score": score_words(name).name}
        | ({"As shipped": number(shipped[name])} if name in shipped else {})
        | {"Yours": number(limit)}
        for name, limit in profile.thresholds.items()
    ]
    st.table(rows, hide_index=True)


def _draw_cost(record: Record, profile: Profile) -> None:
    """What the thresholds would miss of the recorded attacks: false alarms are not had for nothing."""
    limits = record.bundle.limits[record.classifier]
    known = [entry for entry in record.attacks if entry.name in COST]
    if not known:
        return
    st.subheader("What it costs", anchor=False)
    st.markdown("Missed, of the bundle’s attacked calibration scans: the classifier is fooled and nothing is flagged.")
    rows = []
    for entry in known:
        before = _misses((*record.key, "shipped"), entry.name, record, limits)
        after = _misses((*record.key, profile.key), entry.name, record, profile.applied_to(limits))
        rows.append({"Attack": condition_title(entry), "As shipped": share_text(before), "Yours": share_text(after)})
    st.table(rows, hide_index=True)
    count = len(record.calibration.labels)
    st.caption(f"n = {count} scans of the bundle’s own collection; none of your scans was attacked to measure this.")


@st.cache_resource(show_spinner=False, max_entries=32)
def _misses(key: tuple[str, ...], condition: str, _record: Record, _limits: Limits) -> Share:
    """Made once: its interval takes longer than the page has at each of its reruns."""
    from core.evaluation.operating_points import operating_point

    return operating_point(_record.calibration, condition, [_limits] * len(_record.calibration.labels)).misses
