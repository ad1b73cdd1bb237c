"""Which mixture is opened up, and whether the other pages use it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.engine import bundle
from pages.components.lacking import draw_switch
from pages.components.state import Visit, current_visit
from pages.components.words import plain

if TYPE_CHECKING:
    from core import Bundle

TITLES = {"medfedpure": "MedFedPure", "dwf": "Divided We Fall"}
NONE_HERE = "This bundle holds no mixture of experts, so there is nothing to open up; choose another bundle."


def draw_picker(visit: Visit) -> str | None:
    """Ask which mixture; None, with a sentence, where the bundle holds none."""
    from core.audit.panel import mixtures

    models = bundle(visit.bundle)
    names = mixtures(models)
    if not names:
        st.info(NONE_HERE, icon=":material/info:")
        draw_switch(models)
        return None
    current = visit.mixture if visit.mixture in names else names[0]
    titles = {name: f"{TITLES.get(name, name)} · {len(models.experts(name))} experts" for name in names}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = {"required": True, "format_func": titles.get, "key": f"mixture-{models.name}"}
        visit.mixture = st.segmented_control("Mixture", names, default=current, **how) or current
        draw_use(visit, models, visit.mixture)
    return visit.mixture


def draw_use(visit: Visit, models: Bundle, mixture: str) -> None:
    """The way to have the other pages ask this mixture, where it has thresholds."""
    if mixture not in models.limits:
        st.caption("This mixture has no thresholds yet, so that the other pages can’t examine scans with it.")
    elif models.classifier_name(visit.classifier) == mixture:
        st.badge("The other pages use this mixture", icon=":material/check_circle:", color="green")
    else:
        now = plain(models.classifier_name(visit.classifier))
        help_text = f"They use {now} now."
        st.button("Use it on the other pages", on_click=_use, args=(mixture,), key="use-mixture", help=help_text)


def _use(mixture: str) -> None:
    current_visit().classifier = mixture
