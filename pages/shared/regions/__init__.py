"""The visitor's regions of interest: at most one a slice of the scan that is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pages.shared.page_state import PageState
from pages.shared.runtime import work_aside

if TYPE_CHECKING:
    import numpy as np

    from core import Scan
    from core.explanation.region_share import RegionShare
    from core.fidelity.region import Region
    from core.fidelity.region_fidelity import RegionFidelity
    from core.scans.outlines.outline import Outline
    from pages.shared.session import Session
    from pages.shared.viewer.drawn import Drawn


@dataclass(kw_only=True)
class RegionState(PageState):
    """The regions of one scan, which `choices` tells by its digest.

    Attributes
    ----------
    regions : dict
        Slice, from 0 → its region.
    problem : str or None
        One sentence about the last one that was none.
    measured : tuple or None
        Of what it was measured last, and what came of it: a sentence where the region can't be measured.
    file_id : str or None
        Which file of the uploader was opened last.
    outlines : tuple of Outline
        What that file outlines.
    outline : int
        Which of them was taken last, from 0.
    attribution : tuple or None
        For which choices it was asked last, and what the decision rests on, (R, R), not negative.
    shares : dict
        Of which region, by whom and on what it was asked → how much of the answer rests on the region.
    """

    regions: dict[int, Region] = field(default_factory=dict)
    problem: str | None = None
    measured: tuple[tuple[object, ...], RegionFidelity | str] | None = None
    file_id: str | None = None
    outlines: tuple[Outline, ...] = ()
    outline: int = 0
    attribution: tuple[tuple[object, ...], np.ndarray] | None = None
    shares: dict[tuple[object, ...], RegionShare | None] = field(default_factory=dict)

    def outlives(self, attacked_copy: bool) -> bool:
        """An attack moves nothing: what was outlined lies where it lay."""
        return attacked_copy


def region_state(session: Session) -> RegionState:
    """The state of the scan that is open; of an attacked copy it begins with the region of what was attacked."""
    scan = session.scan
    assert scan is not None
    state = session.state_of(RegionState)
    if state and state.choices == (scan.key,):
        return state
    known = _carried(session, scan, state.regions) if state and _of_origin(session, state) else {}
    return session.keep(RegionState(choices=(scan.key,), regions=known))


def _of_origin(session: Session, state: RegionState) -> bool:
    return session.origin is not None and state.choices == (session.origin.key,)


def _carried(session: Session, scan: Scan, regions: dict[int, Region]) -> dict[int, Region]:
    """The attacked slice's region on the copy, which has the size that the models see."""
    from core.fidelity.region import Region, RegionError

    origin, region = session.origin, regions.get(session.origin_frame)
    if origin is None or region is None:
        return {}
    try:
        return {0: Region(region.at(scan.values.shape[1], origin.spacing), 0, region.source)}
    except RegionError:
        return {}


def region_here(session: Session) -> Region | None:
    """The region of the slice that is examined, if any."""
    return region_state(session).regions.get(session.frame) if session.scan else None


def region_as_seen(session: Session, resolution: int) -> np.ndarray | None:
    """That region as the models see it, (resolution, resolution) bool."""
    region, scan = region_here(session), session.scan
    return region.at(resolution, scan.spacing) if region and scan else None


def keep_drawn(session: Session, scan: Scan, drawn: Drawn) -> None:
    """Keep what was drawn on a slice in place of what was there, or take that away."""
    from core.fidelity.region import RegionError

    if scan is not session.scan:  # it was drawn late
        return
    state = region_state(session)
    state.problem = None
    try:
        if drawn.shape == "none":
            state.regions.pop(drawn.frame, None)
        else:
            state.regions[drawn.frame] = drawn.region(scan)
    except RegionError as error:
        state.problem = str(error)


def open_outlines(session: Session, source: memoryview, name: str) -> None:
    """Take the regions that a file outlines on the scan that is open, the first of several outlines; or say why not."""
    from core import ScanError
    from core.scans.loading import begin_outlines

    state, scan = region_state(session), session.scan
    assert scan is not None
    state.problem = None
    try:
        opening = begin_outlines(source, scan, name)
        state.outlines = work_aside("Opening the outlines …", opening.outlined, opening.cancel)
        keep_outline(state, 0)
    except ScanError as error:
        state.problem = str(error)


def keep_outline(state: RegionState, index: int) -> None:
    """Take one of the outlines of the file in place of all regions."""
    from core.fidelity.region import Region

    if index < len(state.outlines):
        masks, state.outline = state.outlines[index].masks, index
        state.regions = {frame: Region(mask, frame, "file") for frame, mask in masks.items()}


def measured(
    session: Session, region: Region, before: np.ndarray, after: np.ndarray, of: tuple[object, ...]
) -> RegionFidelity | str:
    """What purification did in the region against elsewhere, or one sentence why that can't be said; computed once.

    `before` and `after` as `core.fidelity.region_fidelity.region_fidelity` takes them; `of` tells them from others.
    """
    from core.fidelity.region import RegionError
    from core.fidelity.region_fidelity import region_fidelity

    state, scan = region_state(session), session.scan
    assert scan is not None
    key = (*of, region)
    if state.measured is None or state.measured[0] != key:
        try:
            state.measured = key, region_fidelity(before, after, region.at(before.shape[-1], scan.spacing))
        except RegionError as error:
            state.measured = key, str(error)
    return state.measured[1]
