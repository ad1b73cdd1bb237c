"""Where they look: attributions of one expert or of the whole mixture, before an attack, under it, and purified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import streamlit as st

from pages.experts import classroom
from pages.experts.opinions import draw_switches
from pages.experts.outline import draw_agreement, draw_outline
from pages.experts.pictures import FIRST_OPACITY, draw_maps
from pages.experts.progress import draw_ending, follow
from pages.experts.state import ExpertsState, Question
from pages.shared.visit.stage import say
from pages.shared.words import plain

if TYPE_CHECKING:
    import numpy as np

DOING = "looks"
WHOLE = "Whole mixture"
FOR, AGAINST = "speaks for the answer", "speaks against the answer"
UNITS = {
    "grad-cam": "(no unit)",
    "integrated-gradients": "log odds a pixel",
    "smoothgrad": "log odds from black to white",
    "occlusion": "log odds lost while covered",
}
ABOUT = (
    "Grad-CAM: which coarse parts of the expert’s own features speak for the answer. Integrated Gradients: how much "
    "each pixel adds on the way from a black picture to this scan. SmoothGrad: how strongly each pixel could move the "
    "answer, averaged over noisy copies. Occlusion: what is lost while a black square covers the place."
)


def draw_looks(state: ExpertsState) -> None:
    """Method and expert, the button, the maps, and whether they lie on the lesion."""
    from core.explanation.attributions import METHODS
    from core.models.experts import NONE_LEFT

    running = state.running and isinstance(state.doing, tuple) and state.doing[0] == DOING
    question, sign, opacity = _draw_choices(state, running)
    outline = draw_outline(state)
    rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    if running:
        with live.container():
            follow(state, "Asking where they look")
    with rest:
        draw_ending(state, (DOING, question))
        maps = state.attributions.get(question)
        if _nobody(question):
            st.warning(NONE_LEFT, icon=":material/person_off:")
        elif not maps:
            classroom.draw_scan(state, "Where do they look? **Space** asks them.")
            st.info("Press **Show where they look**.", icon=":material/visibility:")
        else:
            shown = {stage: sign * values for stage, values in maps.items()}
            _draw_question(state, question, sign)
            draw_maps(state, shown, opacity, UNITS[question.method], METHODS[question.method].title, outline)
            draw_agreement(shown, outline)


def _draw_choices(state: ExpertsState, running: bool) -> tuple[Question, int, float]:
    """Who is at work, which method and whom to ask, which sign, the opacity; the button starts what isn't known."""
    from core.explanation.attributions import METHODS

    names = [WHOLE, *(expert.name for expert in state.experts)]
    titles = {name: method.title for name, method in METHODS.items()}
    how = {"persist_state": "session", "disabled": running}
    switched_on = draw_switches(state, running)
    grid = st.grid(3, min_column_width=230)
    with grid.cell():
        method = st.selectbox("Method", list(METHODS), format_func=titles.get, key="look-method", help=ABOUT, **how)
    with grid.cell():
        key = f"look-expert-{state.mixture}"
        place = st.selectbox("Who", range(len(names)), format_func=names.__getitem__, key=key, **how)
    with grid.cell():
        opacity = st.slider("Opacity", 0, 100, FIRST_OPACITY, 5, format="%d %%", key="look-opacity", **how)
    fewer = () if place or all(switched_on) else switched_on
    question, sign = Question(method, place - 1 if place else None, fewer), 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        off = running or _nobody(question)
        if st.button("Show where they look", icon=":material/visibility:", type="primary", key="look", disabled=off):
            begin_looking(state, question)
            st.rerun()
        if METHODS[method].signed:
            how = {"required": True, "key": "look-sign", "persist_state": "session", "disabled": running}
            sign = -1 if st.segmented_control("Show what", (FOR, AGAINST), default=FOR, **how) == AGAINST else 1
    return question, sign, opacity / 100


def _nobody(question: Question) -> bool:
    return bool(question.switched_on) and not any(question.switched_on)


def begin_looking(state: ExpertsState, question: Question) -> None:
    """Have the maps of all stages computed in the background."""
    maps = state.attributions[question] = {}
    each = len(state.experts) if question.place is None else 1
    state.start(_steps(state, question, maps), doing=(DOING, question), total=each * len(state.stages))


def _steps(state: ExpertsState, question: Question, maps: dict[str, np.ndarray]) -> Iterator[None]:
    from core.explanation.attributions import attribution, attribution_steps

    for stage, view in tuple(state.stages.items()):
        if question.place is None:
            held = view.output.only(question.switched_on).weights if question.switched_on else None
            how = {"seed": state.seed, "weights": held}
            for step in attribution_steps(view.pixels, state.network, question.method, **how):
                if step.index == step.count - 1:  # the sum over a few of the experts is nobody's map
                    maps[stage] = step.map
                yield
        else:
            maps[stage] = attribution(
                view.pixels, state.network.experts[question.place], question.method, seed=state.seed
            )
            yield


def _draw_question(state: ExpertsState, question: Question, sign: int) -> None:
    """What the maps are of: whose answer, and for it or against it."""
    from core.explanation.attributions import METHODS

    answers = []
    for stage, view in state.stages.items():
        output = view.output.only(question.switched_on) if question.switched_on else view.output
        said = output.answer if question.place is None else output.experts[question.place]
        answers.append(f"{stage.lower()} “{said.label}”")
    who = WHOLE if question.place is None else state.experts[question.place].name
    off = [expert.name for expert, on in zip(state.experts, question.switched_on) if not on]
    without = f" without {', '.join(off)}" if off else ""
    what = AGAINST if sign < 0 else FOR
    method = METHODS[question.method]
    told = f"what **{what}** to each scan. {plain(who + without)}: {plain(', '.join(answers))}."
    say(f"{method.title}: {told}")
    st.markdown(f"{method.title} ({method.source}): {told}")
    if off:
        st.caption("The weights of those left are held for each scan: what would move the gate takes no part.")
