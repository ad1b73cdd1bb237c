"""Where they look: attributions of one expert or of the whole mixture, before an attack, under it, and purified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import pictures
from pages.components.experts_bench import Bench, Look
from pages.components.experts_opinions import title
from pages.components.experts_outline import draw_agreement, draw_outline
from pages.components.experts_run import draw_ending, follow
from pages.components.words import number, plain

if TYPE_CHECKING:
    import numpy as np

DOING = "looks"
WHOLE = "Whole mixture"
FOR, AGAINST = "speaks for the answer", "speaks against the answer"
FIRST_OPACITY = 80
UNITS = {
    "grad-cam": "(no unit)",
    "integrated-gradients": "log odds a pixel",
    "smoothgrad": "log odds from black to white",
    "occlusion": "log odds lost while covered",
}


def draw_looks(bench: Bench) -> None:
    """Method and expert, the button, the maps, and whether they lie on the lesion."""
    from core.explanation import METHODS

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
        if not maps:
            st.info("Press **Show where they look**.", icon=":material/visibility:")
            return
        shown = {stage: sign * values for stage, values in maps.items()}
        _draw_question(bench, look, sign)
        draw_maps(bench, shown, opacity, UNITS[look[0]], METHODS[look[0]].title, outline)
        draw_agreement(shown, outline)


def _draw_choices(bench: Bench, running: bool) -> tuple[Look, int, float]:
    """Which method and whom to ask, which sign to show, and the opacity; the button starts what is not yet known."""
    from core.explanation import METHODS

    names = [WHOLE, *(expert.name for expert in bench.experts)]
    titles = {name: method.title for name, method in METHODS.items()}
    how = {"persist_state": "session", "disabled": running}
    grid = st.grid(3, min_column_width=230)
    with grid.cell():
        method = st.selectbox("Method", list(METHODS), format_func=titles.get, key="look-method", **how)
    with grid.cell():
        key = f"look-expert-{bench.mixture}"
        place = st.selectbox("Who", range(len(names)), format_func=names.__getitem__, key=key, **how)
    with grid.cell():
        opacity = st.slider("Opacity", 0, 100, FIRST_OPACITY, 5, format="%d %%", key="look-opacity", **how)
    look, sign = (method, place - 1 if place else None), 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button(
            "Show where they look", icon=":material/visibility:", type="primary", key="look", disabled=running
        ):
            begin_looking(bench, look)
            st.rerun()
        if METHODS[method].signed:
            how = {"required": True, "key": "look-sign", "persist_state": "session", "disabled": running}
            sign = -1 if st.segmented_control("Show what", (FOR, AGAINST), default=FOR, **how) == AGAINST else 1
    return look, sign, opacity / 100


def begin_looking(bench: Bench, look: Look) -> None:
    """Have the maps of all stages computed in the background."""
    maps = bench.looks[look] = {}
    each = len(bench.experts) if look[1] is None else 1
    bench.start((DOING, look), each * len(bench.stages), _steps(bench, look, maps))


def _steps(bench: Bench, look: Look, maps: dict[str, np.ndarray]) -> Iterator[None]:
    from core.explanation import attribution, attribution_steps

    method, place = look
    for stage, heard in tuple(bench.stages.items()):
        if place is None:
            for step in attribution_steps(heard.pixels, bench.network, method, seed=bench.seed):
                if step.index == step.count - 1:  # the sum over a few of the experts is nobody's map
                    maps[stage] = step.map
                yield
        else:
            maps[stage] = attribution(heard.pixels, bench.network.experts[place], method, seed=bench.seed)
            yield


def _draw_question(bench: Bench, look: Look, sign: int) -> None:
    """What the maps are of: whose answer, and for it or against it."""
    from core.explanation import METHODS

    panels = {stage: heard.panel for stage, heard in bench.stages.items()}
    who = WHOLE if look[1] is None else bench.experts[look[1]].name
    said = [
        f"{stage.lower()} “{(panel.answer if look[1] is None else panel.experts[look[1]]).label}”"
        for stage, panel in panels.items()
    ]
    what = AGAINST if sign < 0 else FOR
    method = METHODS[look[0]]
    st.markdown(
        f"{method.title} ({method.source}): what **{what}** to each scan. {plain(who)}: {plain(', '.join(said))}."
    )


def draw_maps(
    bench: Bench,
    maps: Mapping[str, np.ndarray],
    opacity: float,
    unit: str,
    whose: str,
    outline: np.ndarray | None = None,
) -> None:
    """A map over each stage, each with colours that end at its own largest values: the question is where they are."""
    from core import overlays
    from core.audit.outline import ringed

    grid = st.grid(3, min_column_width=230, gap="medium")
    for stage, values in maps.items():
        limit, name, pixels = overlays.map_limit(values), title(bench, stage), bench.stages[stage].pixels
        if outline is not None:
            pixels, values = ringed(pixels, values, outline)
        frame = overlays.at_native(pixels, bench.before.frame.shape)
        picture = overlays.overlay_png(frame, values, limit, opacity, bench.scan.spacing)
        with grid.cell():
            st.subheader(name, anchor=False)
            st.image(picture, width="stretch", alt=f"Scan {bench.scan.name}. {name}, with the map of {whose} over it")
            st.caption(f"The colours end at {number(limit)} {unit}.")
    pictures.draw_legend("0", "the end that stands below each picture", signed=False)
