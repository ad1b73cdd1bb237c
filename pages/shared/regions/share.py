"""How much of an answer rests on the visitor's region: said beside the answer, and asked once that is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from pages.shared.regions import region_as_seen, region_here, region_state
from pages.shared.runtime import bundle, heavy_work
from pages.shared.words import unbroken, weight_text

if TYPE_CHECKING:
    import numpy as np
    from streamlit.delta_generator import DeltaGenerator

    from core.explanation.region_share import RegionShare
    from pages.shared.session import Session

MOST_KEPT = 16
ASKING = "Asking how much of the answer rests on the region …"
CIRCULAR = "The region is where this model looks, so that its answer rests on it says nothing."
NOTHING = "How much of the answer rests on the region can’t be said: it is too small, or nothing speaks for the answer."


class Asked(NamedTuple):
    """A sentence that is still to come: where it goes, and of which pixels and classifier it speaks."""

    place: DeltaGenerator
    pixels: np.ndarray
    classifier: str


def draw_share(session: Session, pixels: np.ndarray, classifier: str) -> list[Asked]:
    """Draw the sentence where it is known, or what is to be asked; nothing where there is no region.

    pixels: (C, R, R) in [0, 1], which the answer is to; classifier: whose it is. Asking takes a second: hence not
    before all answers are on the page, by `answer_shares`.
    """
    region = region_here(session)
    if region is None:
        return []
    if region.source == "attribution":
        st.caption(CIRCULAR)
        return []
    asked = Asked(st.empty(), pixels, classifier)
    known = region_state(session).shares
    if (key := _key(session, asked)) in known:
        _draw(asked, known[key])
        return []
    asked.place.caption(ASKING)
    return [asked]


def answer_shares(session: Session, asked: list[Asked]) -> None:
    """Ask what is still to be asked, and draw each sentence in its place."""
    for one in asked:
        _draw(one, _share(session, one))


def _share(session: Session, asked: Asked) -> RegionShare | None:
    from core.explanation.region_share import region_share

    known, key, name = region_state(session).shares, _key(session, asked), session.bundle
    region = region_as_seen(session, asked.pixels.shape[-1])
    assert region is not None
    if len(known) >= MOST_KEPT:
        known.clear()
    with asked.place:
        known[key] = heavy_work(ASKING, lambda: region_share(asked.pixels, region, bundle(name), asked.classifier))
    return known[key]


def _key(session: Session, asked: Asked) -> tuple[object, ...]:
    return region_here(session), session.bundle, asked.classifier, asked.pixels.tobytes()


def _draw(asked: Asked, share: RegionShare | None) -> None:
    with asked.place.container(gap="xxsmall"):
        if share is None:
            st.caption(NOTHING)
            return
        st.markdown(f":material/target: {sentence(share)}")
        st.caption(about(share))


def sentence(share: RegionShare) -> str:
    """How much lies inside, against how large the region is."""
    return unbroken(
        f"**{weight_text(share.inside)}** of what the answer rests on lies inside the outlined region, which is "
        f"**{weight_text(share.size)}** of the {share.of}."
    )


def about(share: RegionShare) -> str:
    """How that was found."""
    from core.explanation.attributions import METHODS

    title, source, _ = METHODS[share.method]
    return f"{title}, {source}"
