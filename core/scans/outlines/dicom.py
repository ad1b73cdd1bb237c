"""DICOM SEG (PS3.3 A.51) and RTSTRUCT (A.19) → masks on the slices of a scan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from skimage import draw

from core.scans.dicom.acquisition import directions_of
from core.scans.dicom.attributes import finite_number, finite_numbers, group_item, reference_digest, value_of
from core.scans.dicom.frames import frames_of, plane_spacing
from core.scans.dicom.pixels import announced_shape, check_size, stored_pixels
from core.scans.geometry import Placement
from core.scans.outlines.outline import Target
from core.scans.scan import ScanError

Masks = dict[int, dict[int, np.ndarray]]  # number of the outline → slice of the scan → (H, W) bool

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # the second is the Label Map
_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
_PARALLEL = 0.999  # cosine, about 2.5°
_LEAST_GAP = 0.5  # mm: slices that are nearer are taken for that thick


def is_segmentation(ds: Dataset) -> bool:
    """Whether it is a DICOM SEG."""
    return str(value_of(ds, "SOPClassUID") or "") in _SEGMENTATIONS


def is_structure_set(ds: Dataset) -> bool:
    """Whether it is an RTSTRUCT."""
    return str(value_of(ds, "SOPClassUID") or "") == _STRUCTURES


class _Plane:
    """Places in the patient ↔ slices, rows and columns of a scan."""

    def __init__(self, target: Target, placement: Placement) -> None:
        self.corners, self.down, self.across = (
            np.array(part) for part in (placement.corners, placement.down, placement.across)
        )
        normal = np.cross(self.across, self.down)
        self.normal = normal / np.linalg.norm(normal)
        self.heights = self.corners @ self.normal
        self.within = max(abs(target.thickness), _LEAST_GAP) / 2
        self.inverse = np.linalg.pinv(np.stack([self.down, self.across], axis=1))  # millimetres → rows, columns

    def slice_at(self, place: np.ndarray) -> int | None:
        """The slice that a place lies in, if any."""
        gaps = np.abs(self.heights - place @ self.normal)
        return int(gaps.argmin()) if gaps.min() <= self.within * (1 + 1e-3) else None


def segments(ds: Dataset, name: str, target: Target, placement: Placement) -> Masks:
    """The segments of a DICOM SEG, each slice of the scan taking the nearest frame of each segment.

    ScanError where it was made on another scan, or its pixels can't be read.
    """
    _check_reference([reference_digest(ds)], placement, name)
    check_size(name, *announced_shape(ds, name)[:3])
    stored, plane = stored_pixels(ds, name, []), _Plane(target, placement)
    limit = _limit(ds)
    nearest: dict[tuple[int, int], tuple[float, int]] = {}
    frames = frames_of(name, ds)
    for frame in frames[: len(stored)]:
        directions = directions_of(ds, frame.index)
        if frame.position is None or directions is None or plane_spacing(ds, frame.index) is None:
            raise ScanError(f"'{name}' doesn’t say where its segments lie in the patient: export it again.")
        if abs(directions[0] @ plane.normal) < _PARALLEL:
            raise ScanError(f"'{name}' was cut in another direction than this scan: export it on this scan’s slices.")
        own = plane.slice_at(frame.position)
        if own is None:
            continue
        gap = abs(plane.heights[own] - frame.position @ plane.normal)
        for number in _numbers(ds, frame.index, stored):
            if gap < nearest.get((number, own), (np.inf, 0))[0]:
                nearest[number, own] = gap, frame.index
    found: Masks = defaultdict(dict)
    for (number, own), (_, index) in nearest.items():
        marked = stored[index] == number if limit is None else stored[index] >= limit
        if marked.any():
            found[number][own] = _sampled(marked, frames[index].position, ds, index, plane, own, target)
    return found


def _limit(ds: Dataset) -> float | None:
    """The least stored value within a segment; None where values are segment numbers (PS3.3 C.8.20.2.3)."""
    kind = str(value_of(ds, "SegmentationType") or "")
    if kind == "LABELMAP":
        return None
    return (finite_number(ds, "MaximumFractionalValue") or 255) / 2 if kind == "FRACTIONAL" else 1


def _numbers(ds: Dataset, index: int, stored: np.ndarray) -> list[int]:
    if _limit(ds) is None:
        return [int(number) for number in np.unique(stored[index]) if number]
    number = finite_number(group_item(ds, index, "SegmentIdentificationSequence"), "ReferencedSegmentNumber")
    return [int(number or 1)]


def _sampled(
    marked: np.ndarray, position: np.ndarray | None, ds: Dataset, index: int, plane: _Plane, own: int, target: Target
) -> np.ndarray:
    """(H, W) bool on the scan: each pixel takes the segment's pixel that its middle lies in."""
    directions, spacing = directions_of(ds, index), plane_spacing(ds, index)
    assert directions is not None and spacing is not None and position is not None
    inverse = np.linalg.pinv(np.stack([directions[1] * spacing[0], directions[2] * spacing[1]], axis=1))
    start = inverse @ (plane.corners[own] - position)
    by_row, by_column = inverse @ plane.down, inverse @ plane.across
    rows, columns = (np.arange(length) for length in target.shape[1:])
    places = [
        np.rint(start[axis] + by_row[axis] * rows[:, None] + by_column[axis] * columns[None]).astype(np.int64)
        for axis in (0, 1)
    ]
    inside = np.logical_and.reduce([(at >= 0) & (at < size) for at, size in zip(places, marked.shape)])
    mask = np.zeros(target.shape[1:], bool)
    mask[inside] = marked[places[0][inside], places[1][inside]]
    return mask


def structures(ds: Dataset, name: str, target: Target, placement: Placement) -> Masks:
    """The regions of interest of an RTSTRUCT; where closed contours of one overlap on a slice, the inner is a hole.

    ScanError where it was made on another scan.
    """
    items = value_of(ds, "ReferencedFrameOfReferenceSequence") or []
    _check_reference([reference_digest(item) for item in items], placement, name)
    plane, found = _Plane(target, placement), defaultdict(dict)  # type: ignore[var-annotated]
    for number, points in _contours(ds):
        own = plane.slice_at(points[0])
        if own is None or np.abs((points - points[0]) @ plane.normal).max() > plane.within:
            continue
        rows, columns = plane.inverse @ (points - plane.corners[own]).T
        mask = found[number].setdefault(own, np.zeros(target.shape[1:], bool))
        inner = draw.polygon(rows, columns, target.shape[1:])
        mask[inner] ^= True
    return found


def _contours(ds: Dataset) -> Iterator[tuple[int, np.ndarray]]:
    """ROI Number, and the corners of each of its closed contours, (N, 3) mm (PS3.3 C.8.8.6)."""
    for roi in value_of(ds, "ROIContourSequence") or []:
        number = finite_number(roi, "ReferencedROINumber")
        for contour in value_of(roi, "ContourSequence") or []:
            points = finite_numbers(contour, "ContourData")
            closed = str(value_of(contour, "ContourGeometricType") or "").startswith("CLOSED_PLANAR")
            if closed and len(points) >= 9 and len(points) % 3 == 0:
                yield int(number or 0), np.reshape(points, (-1, 3))


def _check_reference(stated: list[str | None], placement: Placement, name: str) -> None:
    known = [reference for reference in stated if reference]
    if known and placement.reference and placement.reference not in known:
        raise ScanError(f"'{name}' belongs to another examination than this scan (another frame of reference).")
