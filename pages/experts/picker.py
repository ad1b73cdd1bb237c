"""Which mixture is opened up, and whether the other pages use it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.empty_states import draw_switch
from pages.shared.runtime import bundle
from pages.shared.session import Session, current_session
from pages.shared.visit.asked import refuse
from pages.shared.words import plain

if TYPE_CHECKING:
    from core import Bundle

TITLES = {"medfedpure": "MedFedPure", "dwf": "Divided We Fall"}
NONE_HERE = "This bundle holds no mixture of experts, so there is nothing to open up; choose another bundle."


def draw_picker(session: Session) -> str | None:
    """Ask which mixture; None, with a sentence, where the bundle holds none."""
    from core.explanation.mixture import mixtures

    models = bundle(session.bundle)
    names = mixtures(models)
    if not names:
        st.info(NONE_HERE, icon=":material/info:")
        draw_switch(models)
        return None
    key, asked = f"mixture-{models.name}", session.visit.asked.pop("mixture", None)
    if asked and asked not in names:
        refuse(session, {"mixture": asked})
    elif asked is not None:
        session.mixture = st.session_state[key] = asked or names[0]
    current = session.mixture if session.mixture in names else names[0]
    titles = {name: f"{TITLES.get(name, name)} · {len(models.experts(name))} experts" for name in names}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = {"required": True, "format_func": titles.get, "key": key}
        session.mixture = st.segmented_control("Mixture", names, default=current, **how) or current
        draw_use(session, models, session.mixture)
    draw_learned(models, session.mixture)
    session.visit.words = {"mixture": session.mixture if session.mixture != names[0] else ""}
    return session.mixture


def draw_learned(models: Bundle, mixture: str) -> None:
    """Whether a mixture learned from fewer collections than the classifier that answers elsewhere."""
    own, usual = models.collections(mixture), models.collections(models.default_classifier)
    if own and set(own) < set(usual):
        st.caption(
            f"This mixture learned from {plain(', '.join(own))} alone, {plain(models.default_classifier)} from "
            f"{plain(', '.join(usual))}: on scans that come from elsewhere, expect it to be wrong."
        )


def draw_use(session: Session, models: Bundle, mixture: str) -> None:
    """The way to have the other pages ask this mixture, where it has thresholds."""
    if mixture not in models.limits:
        st.caption("This mixture has no thresholds yet, so that the other pages can’t examine scans with it.")
    elif models.classifier_name(session.classifier) == mixture:
        st.badge("The other pages use this mixture", icon=":material/check_circle:", color="green")
    else:
        now = plain(models.classifier_name(session.classifier))
        help_text = f"They use {now} now."
        st.button("Use it on the other pages", on_click=_use, args=(mixture,), key="use-mixture", help=help_text)


def _use(mixture: str) -> None:
    current_session().classifier = mixture
