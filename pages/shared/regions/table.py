"""What purification did in a region against elsewhere: a word, a sentence and a short table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.regions import measured
from pages.shared.words import heading, number, plain

if TYPE_CHECKING:
    import numpy as np

    from core.fidelity.region import Region
    from core.fidelity.region_fidelity import Part, RegionFidelity
    from core.scans.geometry import Spacing
    from pages.shared.session import Session

LOOKS = {
    "preserved": (":material/check_circle:", "green"),
    "blurred": (":material/blur_on:", "orange"),
    "invented": (":material/add_circle:", "orange"),
    "lost": (":material/cancel:", "red"),
}
MEANINGS = {
    "preserved": "what the region shows is still there, as sharp as it was",
    "blurred": "what the region shows is still there, but weaker or less sharp",
    "invented": "the region shows more than was there",
    "lost": "what the region showed is gone, or more than half of it",
}
FOUND = {
    "ellipse": "an ellipse drawn here",
    "polygon": "a polygon drawn here",
    "file": "an outline from a file",
    "attribution": "what the model’s own answer rests on",
}
NOTHING = "–"


def draw_region_fidelity(
    session: Session, region: Region, before: np.ndarray, after: np.ndarray, of: tuple[object, ...], clean: bool
) -> None:
    """Draw it for `measured`; `clean` where `before` is the scan as it was before an attack, and not what was given."""
    draw_found(
        measured(session, region, before, after, of), region, session.scan.millimetres if session.scan else None, clean
    )


def draw_found(found: RegionFidelity | str, region: Region, spacing: Spacing, clean: bool) -> None:
    """Draw what was measured in a region, or why it can't be; `spacing` is the scan's, in millimetres."""
    if isinstance(found, str):
        st.warning(plain(found), icon=":material/highlight_alt:")
        return
    icon, colour = LOOKS[found.verdict]
    st.subheader(f":{colour}[{icon}] {heading(found.verdict)}", anchor=False)
    st.markdown(_sentence(found))
    st.table(_rows(found), alt="What purification left in the region and elsewhere", width="content")
    st.caption(_about(region, found, spacing, clean))


def _sentence(found: RegionFidelity) -> str:
    here, there = found.here, found.elsewhere
    text = f"**{heading(MEANINGS[found.verdict])}.** Purification left {_left(here.contrast)} of its "
    text += f"contrast and {_left(here.edge)} of its edge sharpness"
    if found.places:
        text += f"; of the same outline elsewhere {_left(there.contrast)} and {_left(there.edge)}"
    faint = " The region hardly stands out of its surroundings, so contrast and edge say little." if found.faint else ""
    return f"{text}.{faint}"


def _rows(found: RegionFidelity) -> dict[str, list[str]]:
    here, there = found.here, found.elsewhere
    titles = ["Contrast left", "Size left", "Edge sharpness left", "SSIM", "Mean change", "Appeared", "Vanished"]
    return {"": titles, "In the region": _column(here), "Elsewhere": _column(there)}


def _column(part: Part) -> list[str]:
    shares = [_left(share) for share in (part.contrast, part.size, part.edge)]
    structures = [f"{pixels} pixels" if pixels else "nothing" for pixels in (part.appeared, part.vanished)]
    return [*shares, f"{part.ssim:.3f}", f"{number(255 * part.moved)}/255", *structures]


def _left(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f}\u00a0%"


def _about(region: Region, found: RegionFidelity, spacing: Spacing, clean: bool) -> str:
    area = region.area(spacing)
    size = f"{found.pixels} of the models’ pixels" + (f", {number(area)} mm²" if area else "")
    against = (
        "Measured against the clean original."
        if clean
        else "Measured against the scan as it was given: if that was attacked, what changed may be the attack."
    )
    elsewhere = (
        f"Elsewhere: contrast, size and edge are medians over the same outline at {found.places} other places in the "
        "body; the rest is over all of it."
        if found.places
        else "The region is too large to be laid elsewhere, so elsewhere has no contrast, size and edge."
    )
    return f"The region is {FOUND[region.source]}: {size}. {against} {elsewhere}"
