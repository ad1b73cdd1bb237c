"""What a flip does to other scans: a dozen samples in a row, each with its answer before and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.faults.answer import page_guard
from pages.faults.state import FaultsState, Others
from pages.faults.study import samples_of
from pages.shared.runtime import heavy_work
from pages.shared.words import heading, plain

if TYPE_CHECKING:
    from core.faults.sample_answers import SampleAnswers
    from core.faults.samples import Samples

ROW, CELL = 6, 92


def told_of(state: FaultsState) -> str:
    """What became of the other answers: a flip that leaves this scan's may cost others theirs. Empty without flips."""
    asked = _asked(state)
    return told(asked[1]) if asked else ""


def draw_others(state: FaultsState) -> None:
    """Each sample, with its answer before and now."""
    asked = _asked(state)
    if not asked:
        return
    batch, found = asked
    st.subheader("What it does to other scans", anchor=False)
    with st.container(key="faults-others"):
        grid = st.grid(ROW, min_column_width=CELL, gap="small")
        for place, picture in enumerate(_pictures(_key(state), batch)):
            with grid.cell():
                words = answer_words(found.before[place], found.after[place], place in found.withheld)
                st.image(picture, width="stretch", output_format="PNG", alt=f"A sample scan. {words.replace('*', '')}")
                st.markdown(words)


def _asked(state: FaultsState) -> tuple[Samples, SampleAnswers] | None:
    """The samples and what is answered to them; None where nothing is flipped, or there are none to ask about."""
    batch = samples_of(state) if state.flips and state.measurable else None
    return None if batch is None else (batch, _answers(state, batch))


def told(found: SampleAnswers) -> str:
    """What became of the answers, in a sentence or two."""
    count, held = len(found.before), len(found.withheld)
    if held == count:
        return f"The guard holds **all {count}** answers back."
    if held:
        return f"The guard holds **{held} of {count}** answers back. {_told_of_others(found)}"
    if found.kept == count:
        return f"All {count} sample scans are answered as before: nobody would notice."
    return f"Of {count} sample scans {_changes(found)}"


def _told_of_others(found: SampleAnswers) -> str:
    """What became of those that the guard lets through."""
    if found.turned or found.missing:
        return f"Of the others {_changes(found)}"
    return f"The other {_are(found.kept)} answered as before."


def _changes(found: SampleAnswers) -> str:
    return (
        f"**{_are(found.turned)} answered otherwise**, and **{_are(found.missing)} without a number** (NaN); "
        f"{_are(found.kept)} answered as before."
    )


def _are(count: int) -> str:
    return f"{count or 'none'} {'is' if count <= 1 else 'are'}"


def answer_words(before: str | None, after: str | None, withheld: bool = False) -> str:
    """One answer before and now; what changed is bold."""
    then = plain(heading(before)) if before else "NaN"
    if withheld:
        return f"{then} → withheld"
    if before == after:
        return then
    return f"{then} → **{plain(after) if after else 'NaN'}**"


def _answers(state: FaultsState, batch: Samples) -> SampleAnswers:
    from core.faults.sample_answers import sample_answers

    choices = (tuple(state.flips), state.guard)
    if state.others is None or state.others.choices != choices:
        guard = page_guard(state) if state.guard != "off" else None
        name, models, faults, repair = state.network, state.models, choices[0], state.guard == "repair"
        found = heavy_work(
            "Asking about the sample scans …", lambda: sample_answers(models, name, batch, faults, guard, repair)
        )
        state.others = Others(choices, found)
    return state.others.found


def _key(state: FaultsState) -> tuple[str, ...]:
    return state.bundle, *state.models.hashes.values()


@st.cache_resource(show_spinner=False, max_entries=4)
def _pictures(key: tuple[str, ...], _batch: Samples) -> list[bytes]:
    from core.explanation import overlays

    return [overlays.thumbnail_png(image, image.shape[-2:]) for image in _batch.pixels.cpu().numpy()]
