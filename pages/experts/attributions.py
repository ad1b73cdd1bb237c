"""Where they look: attributions of one expert or of the whole mixture, before an attack, under it, and purified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import streamlit as st

from pages.experts.opinions import draw_switches
from pages.experts.outline import draw_agreement, draw_outline
from pages.experts.pictures import FIRST_OPACITY, draw_maps
from pages.experts.progress import draw_ending, follow
from pages.experts.state import Bench, Look
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


def draw_looks(bench: Bench) -> None:
    """Method and expert, the button, the maps, and whether they lie on the lesion."""
    from core.explanation.attributions import METHODS
    from core.models.experts import NONE_LEFT

    running = bench.running and isinstance(bench.doing, tuple) and bench.doing[0] == DOING
    look, sign, opacity = _draw_choices(bench, running)
    outline = draw_outline(bench)
    rest, live = (st.empty(), st.empty()) if running else (st.container(), st.empty())
    if running:
        with live.container():
            follow(bench, "Asking where they look")
    with rest:
        draw_ending(bench, (DOING, look))
        maps = bench.looks.get(look)
        if _nobody(look):
            st.warning(NONE_LEFT, icon=":material/person_off:")
        elif not maps:
            st.info("Press **Show where they look**.", icon=":material/visibility:")
        else:
            shown = {stage: sign * values for stage, values in maps.items()}
            _draw_question(bench, look, sign)
            draw_maps(bench, shown, opacity, UNITS[look.method], METHODS[look.method].title, outline)
            draw_agreement(shown, outline)


def _draw_choices(bench: Bench, running: bool) -> tuple[Look, int, float]:
    """Who is at work, which method and whom to ask, which sign, the opacity; the button starts what isn't known."""
    from core.explanation.attributions import METHODS

    names = [WHOLE, *(expert.name for expert in bench.experts)]
    titles = {name: method.title for name, method in METHODS.items()}
    how = {"persist_state": "session", "disabled": running}
    switched_on = draw_switches(bench, running)
    grid = st.grid(3, min_column_width=230)
    with grid.cell():
        method = st.selectbox("Method", list(METHODS), format_func=titles.get, key="look-method", help=ABOUT, **how)
    with grid.cell():
        key = f"look-expert-{bench.mixture}"
        place = st.selectbox("Who", range(len(names)), format_func=names.__getitem__, key=key, **how)
    with grid.cell():
        opacity = st.slider("Opacity", 0, 100, FIRST_OPACITY, 5, format="%d %%", key="look-opacity", **how)
    fewer = () if place or all(switched_on) else switched_on
    look, sign = Look(method, place - 1 if place else None, fewer), 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        off = running or _nobody(look)
        if st.button("Show where they look", icon=":material/visibility:", type="primary", key="look", disabled=off):
            begin_looking(bench, look)
            st.rerun()
        if METHODS[method].signed:
            how = {"required": True, "key": "look-sign", "persist_state": "session", "disabled": running}
            sign = -1 if st.segmented_control("Show what", (FOR, AGAINST), default=FOR, **how) == AGAINST else 1
    return look, sign, opacity / 100


def _nobody(look: Look) -> bool:
    return bool(look.switched_on) and not any(look.switched_on)


def begin_looking(bench: Bench, look: Look) -> None:
    """Have the maps of all stages computed in the background."""
    maps = bench.looks[look] = {}
    each = len(bench.experts) if look.place is None else 1
    bench.start((DOING, look), each * len(bench.stages), _steps(bench, look, maps))


def _steps(bench: Bench, look: Look, maps: dict[str, np.ndarray]) -> Iterator[None]:
    from core.explanation.attributions import attribution, attribution_steps

    for stage, view in tuple(bench.stages.items()):
        if look.place is None:
            held = view.output.only(look.switched_on).weights if look.switched_on else None
            how = {"seed": bench.seed, "weights": held}
            for step in attribution_steps(view.pixels, bench.network, look.method, **how):
                if step.index == step.count - 1:  # the sum over a few of the experts is nobody's map
                    maps[stage] = step.map
                yield
        else:
            maps[stage] = attribution(view.pixels, bench.network.experts[look.place], look.method, seed=bench.seed)
            yield


def _draw_question(bench: Bench, look: Look, sign: int) -> None:
    """What the maps are of: whose answer, and for it or against it."""
    from core.explanation.attributions import METHODS

    answers = []
    for stage, view in bench.stages.items():
        output = view.output.only(look.switched_on) if look.switched_on else view.output
        said = output.answer if look.place is None else output.experts[look.place]
        answers.append(f"{stage.lower()} “{said.label}”")
    who = WHOLE if look.place is None else bench.experts[look.place].name
    off = [expert.name for expert, on in zip(bench.experts, look.switched_on) if not on]
    without = f" without {', '.join(off)}" if off else ""
    what = AGAINST if sign < 0 else FOR
    method = METHODS[look.method]
    st.markdown(
        f"{method.title} ({method.source}): what **{what}** to each scan. "
        f"{plain(who + without)}: {plain(', '.join(answers))}."
    )
    if off:
        st.caption("The weights of those left are held for each scan: what would move the gate takes no part.")
