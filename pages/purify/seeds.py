"""The same purification with many seeds: does the answer hang on the noise, and where does the estimate?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.shared import pictures
from pages.shared.examinations import answer_of
from pages.shared.job_status import Progress, draw_job_status, draw_stop, follow
from pages.shared.page_state import PageState
from pages.shared.runtime import bundle
from pages.shared.session import Session
from pages.shared.words import heading, number, percent, plain

if TYPE_CHECKING:
    import numpy as np

    from core import Examination, Scan
    from core.fidelity.agreement import Agreement, SeedResult
    from core.purification.settings import PurifySettings

FIRST_SEEDS, MOST_SEEDS = 8, 32


@dataclass(kw_only=True)
class SeedsState(PageState):
    """One purification with many seeds.

    before: the result for its scan; settings, seeds: what was asked for; agreement: what came of it so far.
    """

    scan: Scan
    before: Examination
    settings: PurifySettings
    seeds: range
    agreement: Agreement


def current_state(session: Session) -> SeedsState | None:
    """The visitor's comparison of seeds; one of what is no longer chosen is stopped and forgotten."""
    return session.current(SeedsState, session.choices())


def draw_seeds(session: Session, before: Examination) -> None:
    """How many seeds of which method, the button, and what came of it."""
    state = current_state(session)
    running = state is not None and state.running
    st.markdown("A purifier draws noise. Where the answer hangs on which noise it drew, the estimate can’t be trusted.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [in_short(settings) for settings in session.purify]
        place = st.selectbox(
            "Method, as set up under “Watch”", range(len(names)), format_func=names.__getitem__, key="seeds-method",
            disabled=running,
        )  # fmt: skip
        about = "Each seed is one purification of its own."
        count = st.number_input(
            "Seeds", 2, MOST_SEEDS, FIRST_SEEDS, help=about, key="seeds-count", width=140, disabled=running,
            persist_state="session",
        )  # fmt: skip
        idle = st.empty() if running else st.container(width="content")
        if state and running:
            draw_stop(state, "seeds-stop")
    if state and running:
        follow(state, lambda: _progress(state), lambda _: _draw_shares(state))
        st.rerun()
    if idle.button("Compare seeds", icon=":material/casino:", type="primary", key="seeds", shortcut="Alt+S"):
        _begin(session, before, session.purify[place], int(count))
        st.rerun()
    if state:
        draw_job_status(state, f" after {len(state.agreement)} of {len(state.seeds)} seeds")
        draw_agreement(state)


def _begin(session: Session, before: Examination, settings: PurifySettings, count: int) -> None:
    from core.fidelity.agreement import Agreement

    assert session.scan is not None
    state = SeedsState(
        choices=session.choices(),
        scan=session.scan,
        before=before,
        settings=settings,
        seeds=range(session.purify_seed, session.purify_seed + count),
        agreement=Agreement(),
    )
    session.keep(state).start(_steps(state), state.agreement.take)


def _steps(state: SeedsState) -> Iterator[SeedResult | None]:
    from core.fidelity.agreement import agreement

    before = state.before
    classifier = answer_of(before).classifier
    yield from agreement(before.pixels, bundle(before.bundle), state.settings, state.seeds, classifier)


def _progress(state: SeedsState) -> Progress:
    done, total = len(state.agreement), len(state.seeds)
    return Progress(done, total, f"{done} of {total} seeds")


def draw_agreement(state: SeedsState) -> None:
    """The warning in words, the shares, and where the estimates differ."""
    agreement = state.agreement
    if not len(agreement):
        return
    same = agreement.spread is not None and not agreement.spread.any()
    warn = not agreement.unanimous
    icon = ":material/warning:" if warn else ":material/info:"
    (st.warning if warn else st.info)(verdict(agreement.counts, same), icon=icon)
    halves = st.grid(2, min_column_width=280, gap="medium")
    with halves.cell():
        st.markdown(f"**{plain(in_short(state.settings))}, {len(agreement)} seeds**")
        _draw_shares(state)
        rows = [
            {"Seed": seed, "Answer": heading(answer.label), "Probability": percent(answer.confidence)}
            for seed, answer in agreement.results
        ]
        st.table(rows, hide_index=True)
        st.caption(f"Answered by the classifier {plain(agreement.results[0][1].classifier)}, as the defence asks it.")
    if agreement.spread is not None and not same:
        with halves.cell():
            _draw_spread(state, agreement.spread)


def verdict(counts: dict[str, int], same: bool = False) -> str:
    """What the answers of all seeds say about the estimate; `same`: all estimates are equal."""
    total, (first, most) = sum(counts.values()), next(iter(counts.items()))
    if total == 1:
        return "One seed alone says nothing about agreement."
    if same:
        return f"All {total} seeds give the very same estimate: this method draws no noise, so seeds can’t warn of it."
    if len(counts) == 1:
        stands = "The answer doesn’t hang on the noise; that doesn’t make it right."
        return f"All {total} seeds agree: “{plain(first)}”. {stands}"
    return f"{most} of {total} say “{plain(first)}”: do not trust the estimate. Another draw of noise, another answer."


def _draw_shares(state: SeedsState) -> None:
    done = len(state.agreement)
    for label, count in state.agreement.counts.items():
        st.progress(count / done, f"**{plain(heading(label))}**: {count} of {done} seeds")


def _draw_spread(state: SeedsState, spread: np.ndarray) -> None:
    from core.explanation import overlays

    limit = overlays.map_limit(spread)
    picture = overlays.overlay_png(state.before.frame, spread, limit, 0.85, state.scan.spacing)
    title = "Where the estimates differ from seed to seed"
    st.image(picture, title, "stretch", output_format="PNG", alt=f"{title}: standard deviation over the scan")
    pictures.draw_legend("0", f"{number(255 * limit)}/255 standard deviation over the seeds", signed=False)
    st.caption("Bright is where detail comes from the noise and not from the scan: it may be made up.")
