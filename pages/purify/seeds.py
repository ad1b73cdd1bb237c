"""The same purification with many seeds: does the answer hang on the noise, and where does the estimate?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from pages.purify.controls import in_short
from pages.shared import pictures
from pages.shared.jobs import Run, sentence, watch
from pages.shared.runtime import bundle, engine
from pages.shared.session import Session
from pages.shared.words import heading, number, percent, plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core import Examination, Scan
    from core.fidelity.agreement import Agreement, SeedResult
    from core.purification.settings import PurifySettings

FIRST_SEEDS, MOST_SEEDS = 8, 32


@dataclass
class Survey:
    """One purification with many seeds.

    choices: `Session.choices` of its scan; before: the result for it; settings, seeds: what was asked for; agreement:
    what came of it so far; run: who does it.
    """

    choices: tuple[object, ...]
    scan: Scan
    before: Examination
    settings: PurifySettings
    seeds: range
    agreement: Agreement
    run: Run[SeedResult | None] = field(init=False)


def current_survey(session: Session) -> Survey | None:
    """The visitor's survey; one of what is no longer chosen is stopped and forgotten."""
    survey = session.survey
    if survey and survey.choices != session.choices():
        survey.run.stop()
        survey = session.survey = None
    return survey


def draw_seeds(session: Session, before: Examination) -> None:
    """How many seeds of which method, the button, and what came of it."""
    survey = current_survey(session)
    running = survey is not None and not survey.run.done
    st.markdown("A purifier draws noise. Where the answer hangs on which noise it drew, the estimate can’t be trusted.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept = {"disabled": running, "persist_state": "session"}
        names = [in_short(settings) for settings in session.purify]
        place = st.selectbox(
            "Method, as set up under “Watch”", range(len(names)), format_func=names.__getitem__, key="survey-method",
            disabled=running,
        )  # fmt: skip
        about = "Each seed is one purification of its own."
        count = st.number_input("Seeds", 2, MOST_SEEDS, FIRST_SEEDS, help=about, key="survey-count", width=140, **kept)
        idle = st.empty() if running else st.container(width="content")
        if running:
            st.button("Stop", icon=":material/stop:", type="primary", on_click=survey.run.stop, key="survey-stop")
    if running:
        _follow(survey, st.empty())
        st.rerun()
    if idle.button("Compare seeds", icon=":material/casino:", type="primary", key="survey", shortcut="S"):
        _begin(session, before, session.purify[place], int(count))
        st.rerun()
    if survey:
        _draw_ending(survey)
        draw_agreement(survey)


def _begin(session: Session, before: Examination, settings: PurifySettings, count: int) -> None:
    from core.fidelity.agreement import Agreement

    if session.survey:
        session.survey.run.stop()
    assert session.scan is not None
    seeds = range(session.purify_seed, session.purify_seed + count)
    survey = Survey(session.choices(), session.scan, before, settings, seeds, Agreement())
    survey.run = Run(engine().worker, _steps(survey), survey.agreement.take)
    session.survey = survey
    survey.run.start()


def _steps(survey: Survey) -> Iterator[SeedResult | None]:
    from core.fidelity.agreement import agreement

    before = survey.before
    classifier = before.undefended.classifier
    yield from agreement(before.pixels, bundle(before.bundle), survey.settings, survey.seeds, classifier)


def _follow(survey: Survey, place: DeltaGenerator) -> None:
    def draw() -> None:
        done, total, run = len(survey.agreement), len(survey.seeds), survey.run
        waiting = " · taking turns with other visitors" if run.ahead else ""
        with place.container():
            st.progress(done / total, f"{done} of {total} seeds · {run.seconds:.1f} s of computing{waiting}")
            _draw_shares(survey)

    draw()
    watch(survey.run, draw)


def _draw_ending(survey: Survey) -> None:
    run = survey.run
    if run.error:
        st.error(plain(sentence(run.error)), icon=":material/error:")
    elif run.cut_short:
        st.info(f"Stopped after {len(survey.agreement)} of {len(survey.seeds)} seeds.", icon=":material/stop_circle:")


def draw_agreement(survey: Survey) -> None:
    """The warning in words, the shares, and where the estimates differ."""
    agreement = survey.agreement
    if not len(agreement):
        return
    same = agreement.spread is not None and not agreement.spread.any()
    warn = not agreement.unanimous
    icon = ":material/warning:" if warn else ":material/info:"
    (st.warning if warn else st.info)(verdict(agreement.counts, same), icon=icon)
    halves = st.grid(2, min_column_width=280, gap="medium")
    with halves.cell():
        st.markdown(f"**{plain(in_short(survey.settings))}, {len(agreement)} seeds**")
        _draw_shares(survey)
        rows = [
            {"Seed": seed, "Answer": heading(answer.label), "Probability": percent(answer.confidence)}
            for seed, answer in agreement.results
        ]
        st.table(rows, hide_index=True)
    if agreement.spread is not None and not same:
        with halves.cell():
            _draw_spread(survey)


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


def _draw_shares(survey: Survey) -> None:
    done = len(survey.agreement)
    for label, count in survey.agreement.counts.items():
        st.progress(count / done, f"**{plain(heading(label))}**: {count} of {done} seeds")


def _draw_spread(survey: Survey) -> None:
    from core.explanation import overlays

    spread, before = survey.agreement.spread, survey.before
    limit = overlays.map_limit(spread)
    picture = overlays.overlay_png(before.frame, spread, limit, 0.85, survey.scan.spacing)
    title = "Where the estimates differ from seed to seed"
    st.image(picture, title, "stretch", alt=f"{title}: standard deviation over the scan")
    pictures.draw_legend("0", f"{number(255 * limit)}/255 standard deviation over the seeds", signed=False)
    st.caption("Bright is where detail comes from the noise and not from the scan: it may be made up.")
