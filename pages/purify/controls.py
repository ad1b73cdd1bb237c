"""Which purifiers with which strength: only what the chosen one takes is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.purify.state import first_methods
from pages.shared.session import Session
from pages.shared.words import counted, number

if TYPE_CHECKING:
    from core import Bundle
    from core.purification.settings import PurifySettings

MOST_METHODS = 3
MOST_STEPS = 999
# Many hundred calls of a large network: on two cores they take minutes.
SLOW_STEPS = 30


def title(method: str) -> str:
    """A purifier by its name in print, without the source."""
    from core.purification.catalogue import PURIFIERS

    return PURIFIERS[method].title.split(" (")[0]


def in_short(settings: PurifySettings) -> str:
    """The purifier and its strength in one line."""
    from core.purification.catalogue import find_purifier, longest_purification, noise_level

    takes, words = find_purifier(settings).takes, [title(settings.method)]
    if "t" in takes:
        words.append(f"t* = {noise_level(settings)}")
    if "steps" in takes and longest_purification(settings) > 1:
        words.append(counted(longest_purification(settings)))
    if "clip" in takes:
        words.append(f"clip {number(settings.clip)}/255")
    return ", ".join(words)


def begin_with(chosen: tuple[PurifySettings, ...], seed: int, models: Bundle) -> None:
    """Set all that is asked for as these settings have it."""
    from core.purification.catalogue import PURIFIERS

    values: dict[str, Any] = {"count": len(chosen), "seed": seed}
    for place, settings in enumerate(chosen):
        key = f"{place}-{settings.method}"
        values[f"{'filter' if models.lacks else 'method'}-{place}"] = settings.method
        values[f"t-{key}"] = settings.t or PURIFIERS[settings.method].t or 100
        values[f"steps-{key}"] = settings.steps
        values[f"clip-{key}"] = float(settings.clip)
    st.session_state.update({f"purify-{name}": value for name, value in values.items()})


def draw_controls(session: Session, models: Bundle, locked: bool) -> None:
    """Ask for everything that the next purification takes, of what the bundle can do, and note it in the session.

    `locked`: nothing can be changed now.
    """
    from core.purification.catalogue import longest_purification

    count = st.segmented_control(
        "Methods side by side", (1, 2, 3), default=2, required=True, key="purify-count", disabled=locked,
        persist_state="session",
    )  # fmt: skip
    chosen = tuple(_ask_method(place, models, locked) for place in range(count))
    if any(longest_purification(settings) > SLOW_STEPS for settings in chosen):
        st.caption("A method of many steps takes its time: every step is shown as it comes, and Stop is at hand.")
    about = "Draws all the noise: the same seed gives the same estimates. All methods begin with the same noise."
    seed = st.number_input(
        "Seed of the noise", 0, 2**31 - 1, 0, key="purify-seed", help=about, disabled=locked, persist_state="session"
    )
    if not locked:
        session.purify, session.purify_seed = chosen, seed


def _ask_method(place: int, models: Bundle, locked: bool) -> PurifySettings:
    """One method and its strength."""
    from core.purification.catalogue import PURIFIERS, usable_purifiers
    from core.purification.settings import PurifySettings

    names = usable_purifiers(models)
    # Another choice of methods is another widget.
    index, key = names.index(first_methods(models)[place]), f"purify-{'filter' if models.lacks else 'method'}-{place}"
    about = None if place else "What is in brackets says where a method was published."
    method = st.selectbox(
        f"Method {place + 1}", names, index, lambda name: PURIFIERS[name].title, key=key, help=about, disabled=locked,
        persist_state="session",
    )  # fmt: skip
    purifier, options = PURIFIERS[method], dict[str, Any]()
    asked = [name for name in ("t", "steps", "clip") if name in purifier.takes]
    if not asked:
        return PurifySettings(method)
    key = f"{place}-{method}"
    for cell, name in zip(st.columns(len(asked), vertical_alignment="bottom"), asked):
        with cell:
            if name == "t":
                options["t"] = _ask_noise_level(purifier.t or 100, key, locked)
            elif name == "steps":
                options["steps"] = _ask_steps(PurifySettings(method, **options), key, locked)
            else:
                options["clip"] = _ask_clip(key, locked)
    return PurifySettings(method, **options)


def _ask_noise_level(usual: int, key: str, locked: bool) -> int:
    about = "How much noise is added before it is taken away: the more, the more detail is made up."
    return st.number_input(
        "Noise level t\\*", 1, 999, usual, help=about, key=f"purify-t-{key}", disabled=locked, persist_state="session"
    )


def _ask_steps(settings: PurifySettings, key: str, locked: bool) -> int | None:
    from core.purification.catalogue import longest_purification, most_steps

    key, most = f"purify-steps-{key}", most_steps(settings) or MOST_STEPS
    if (st.session_state.get(key) or 0) > most:  # t* has been lowered
        st.session_state[key] = most
    return st.number_input(
        "Steps", 1, most, None, placeholder=str(longest_purification(settings)),
        help="As many as is usual where left empty.", key=key, disabled=locked, persist_state="session",
    )  # fmt: skip


def _ask_clip(key: str, locked: bool) -> float:
    return st.number_input(
        "Clip, in 1/255", 1.0, 64.0, 16.0, 1.0, "%g", help="How far a pixel may be moved at most.",
        key=f"purify-clip-{key}", disabled=locked, persist_state="session",
    )  # fmt: skip
