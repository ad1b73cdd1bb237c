"""Opinions: what each expert says and how much it counts, clean, attacked and purified; and without some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.experts import charts, classroom
from pages.experts.attack import draw_attack
from pages.experts.findings import moved
from pages.experts.progress import draw_ending, follow
from pages.experts.state import ATTACKED, CLEAN, PURIFIED, ExpertsState, switches_key
from pages.shared.charts import CONFIG
from pages.shared.visit.stage import on_stage
from pages.shared.words import heading, percent, plain, weight_text

if TYPE_CHECKING:
    from core.explanation.mixture import MixtureOutput, MixtureView
    from pages.shared.session import Session


LOGITS = (
    "Logits are an expert’s scores for the classes before they are turned into probabilities, "
    "so that a sure expert moves the sum more than a hesitant one."
)


def draw_opinions(session: Session, state: ExpertsState) -> None:
    """Who is at work, the attack, the stages, and the table of the experts."""
    running = state.running and state.doing == ATTACKED
    switched_on = draw_switches(state)
    with st.container(key="opinions"):
        draw_attack(state, running)
        if session.origin is not None:
            _draw_copy(state, running)
        # Of the two places one is empty: what was drawn before must not stay, greyed, for as long as an attack takes.
        rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    below = st.empty() if running else st.container()
    if running:
        with live.container():
            follow(state, "Attacking the mixture")
    with rest:
        draw_ending(state, ATTACKED)
        draw_stages(state, switched_on)
    with below:
        draw_table(state, switched_on)


def _draw_copy(state: ExpertsState, running: bool) -> None:
    """That the open scan is an attacked copy, and the way back to it after another attack was made here."""
    if state.attack.eps is None:
        st.caption(
            "The scan on the table is an attacked copy: it stands beside its clean original. Its attack may have been "
            "aimed at another classifier; “Attack the mixture” aims at this one, and begins with the clean original."
        )
    else:
        label = "Show the open scan, as it was attacked elsewhere"
        st.button(label, icon=":material/undo:", key="experts-copy", on_click=state.show_copy, disabled=running)


def draw_switches(state: ExpertsState, disabled: bool = False) -> tuple[bool, ...]:
    """Ask which experts are at work."""
    names = [expert.name for expert in state.experts]
    places = range(len(names))
    chosen = st.pills(
        "Experts at work: press one to switch it off, or on again", places, selection_mode="multi",
        default=list(places), format_func=names.__getitem__, key=switches_key(state.mixture),
        persist_state="session", disabled=disabled,
    )  # fmt: skip
    return tuple(place in chosen for place in places)


def draw_stages(state: ExpertsState, switched_on: tuple[bool, ...]) -> None:
    """Clean, attacked and purified side by side; one alone gets the room of three."""
    from core.models.experts import NONE_LEFT

    if not any(switched_on):
        st.warning(NONE_LEFT, icon=":material/person_off:")
    view = state.stages
    answers = {name: known.output.only(switched_on) if any(switched_on) else None for name, known in view.items()}
    grid = st.grid(3, min_column_width=270, gap="medium")
    alone = len(view) == 1
    if on_stage():
        classroom.draw_opinions({name: title(state, name) for name in view}, answers, switched_on)
    for name, known in view.items():
        with grid.cell(column_span=2 if alone else 1):
            st.markdown(f"**{title(state, name)}**")
            _draw_said(name, answers, switched_on, short=not alone)
            if not alone:
                draw_picture(state, name, known)
                _draw_moved(name, answers)
        if alone:
            with grid.cell():
                draw_picture(state, name, known)


def title(state: ExpertsState, stage: str) -> str:
    """A stage in words."""
    return state.attack.title if stage == ATTACKED else stage


def draw_picture(state: ExpertsState, stage: str, view: MixtureView) -> None:
    """The scan as the experts see it."""
    from core.explanation import overlays

    picture = overlays.model_png(view.pixels, state.before.frame.shape, state.scan.spacing)
    st.image(picture, width="stretch", output_format="PNG", alt=f"Scan {state.scan.name}. {title(state, stage)}")


def _draw_said(
    stage: str, answers: dict[str, MixtureOutput | None], switched_on: tuple[bool, ...], short: bool
) -> None:
    from core.explanation.mixture import gate_change

    output, first = answers[stage], answers[CLEAN]
    if output is None or first is None:
        st.header("No answer", anchor=False)
        return
    answer = output.answer
    st.header(f"{plain(heading(answer.label))} · {percent(answer.confidence)}", anchor=False)
    draw_badge(stage, answer.label, first.answer.label)
    if stage == CLEAN:
        figure = charts.bars(output, switched_on, charts.axis_end([first]), short)
    else:
        changes = {name: gate_change(first, shown) for name, shown in answers.items() if shown and name != CLEAN}
        figure = charts.change_bars(output, switched_on, changes[stage], charts.change_end(changes.values()))
    st.plotly_chart(
        figure, height=charts.bars_height(len(switched_on)), config=CONFIG,
        key=f"bars-{stage}", alt=f"Gate, {stage}: {in_words(output, switched_on)}",
    )  # fmt: skip


def _draw_moved(stage: str, answers: dict[str, MixtureOutput | None]) -> None:
    """How far the gate moved, below the pictures, which stay in one line."""
    from core.explanation.mixture import gate_change

    first, output = answers[CLEAN], answers[stage]
    if first and output and stage != CLEAN:
        st.markdown(moved(first, output, gate_change(first, output)))


def draw_badge(stage: str, label: str, first: str) -> None:
    """Whether the answer is that to the clean scan."""
    if stage == CLEAN:
        st.badge("The mixture’s answer", icon=":material/groups:", color="blue")
    elif label == first:
        st.badge("As for the clean scan", icon=":material/check_circle:", color="green")
    else:
        st.badge(f"Clean scan: {plain(first)}", icon=":material/swap_horiz:", color="orange")


def in_words(output: MixtureOutput, switched_on: tuple[bool, ...]) -> str:
    """The bars as a sentence."""
    rows = zip(output.weights, output.experts, switched_on)
    return "; ".join(
        f"{said.classifier} {weight_text(weight)}, says {said.label}" if on else f"{said.classifier} off"
        for weight, said, on in rows
    )


def draw_table(state: ExpertsState, switched_on: tuple[bool, ...]) -> None:
    """Who the experts are, and what each says on its own; switched off or not."""
    st.header("Each expert on its own", anchor=False)
    rows = []
    for place, expert in enumerate(state.experts):
        row = {"Expert": plain(expert.name), "Trained on": plain(expert.training)}
        for stage, view in state.stages.items():
            said, weight = view.output.experts[place], view.output.weights[place]
            row[f"{stage}: says"] = f"{plain(said.label)}, {percent(said.confidence)}"
            row[f"{stage}: weight"] = percent(weight)
        rows.append(row)
    st.table(rows, hide_index=True)
    off = " Those that are switched off are listed with the weight they would have." if not all(switched_on) else ""
    how = " Purified is the attacked scan after one-step denoising." if PURIFIED in state.stages else ""
    st.caption(
        f"The mixture adds up the experts’ logits, each times its weight; the weights sum to 100 %.{off}{how}",
        help=LOGITS,
    )
