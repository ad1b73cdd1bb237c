"""The frames of a data set, and where each lies in the patient: all that can be told without decoding a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.acquisition import directions_of, normal_of
from core.scans.dicom.attributes import finite_number, finite_numbers, group_item, reference_digest
from core.scans.dicom.mosaic import mosaic_of
from core.scans.dicom.reading import frame_count
from core.scans.geometry import Placement, Point, letters_of, plane_of, plausible_plane
from core.scans.text import natural


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a file.

    Attributes
    ----------
    file : str
        Name of the file.
    ds : pydicom.dataset.Dataset
        The file.
    index : int
        Which of its frames, from 0; of a mosaic, which of its tiles.
    normal : numpy.ndarray or None
        (3,) unit normal in the patient's axes (PS3.3 C.7.6.2.1.1).
    position : numpy.ndarray or None
        (3,) millimetres in the same axes, of any point of the frame that all frames of its series share.
    number : float or None
        Which slice it is, where a file counts its slices instead of placing them.
    """

    file: str
    ds: Dataset
    index: int
    normal: np.ndarray | None
    position: np.ndarray | None
    number: float | None = None

    def __lt__(self, other: Frame) -> bool:
        return self.order < other.order

    @cached_property
    def order(self) -> tuple[float, list[tuple[int, int, str]], int]:
        """Instance Number (0020,0013), else the file's name: what is left where nothing else tells an order."""
        number = finite_number(self.ds, "InstanceNumber")
        return (float("inf") if number is None else number), natural(self.file), self.index


def frames_of(file: str, ds: Dataset) -> list[Frame]:
    """Return the frames of a file in their order there."""
    mosaic = mosaic_of(ds)
    if mosaic is not None:
        places = _tile_positions(ds, mosaic.count, mosaic.normal)
        normal = normal_of(ds, 0)
        return [Frame(file, ds, index, normal, place, index) for index, place in enumerate(places)]
    count = frame_count(ds)
    places, numbers = _shared_positions(ds, count), _slice_numbers(ds, count)
    return [
        Frame(file, ds, index, normal_of(ds, index), _own_position(ds, index, places[index]), numbers[index])
        for index in range(count)
    ]


def plane_of_frames(frames: list[Frame]) -> str | None:
    """The plane of all frames (`core.scans.geometry.plane_of`); None where they differ or one states none."""
    planes = {None if frame.normal is None else plane_of(frame.normal) for frame in frames}
    return planes.pop() if len(planes) == 1 else None


def axes_of_frames(frames: list[Frame]) -> str | None:
    """What slices, rows and columns run towards (`core.scans.geometry.AXES`); None where frames differ in that."""
    found = {(own := directions_of(frame.ds, frame.index)) and letters_of(own) for frame in frames}
    return found.pop() if len(found) == 1 else None


def placement_of(frames: list[Frame]) -> Placement | None:
    """Where frames of one plane lie in the patient; None where one doesn't say, and of a mosaic, whose tiles don't."""
    first = frames[0]
    spacing = plane_spacing(first.ds, first.index)
    directions = directions_of(first.ds, first.index)
    places = [frame.position for frame in frames]
    if spacing is None or directions is None or mosaic_of(first.ds) or any(place is None for place in places):
        return None
    _, down, across = directions
    corners = tuple(_point(place) for place in places if place is not None)
    return Placement(corners, _point(down * spacing[0]), _point(across * spacing[1]), reference_digest(first.ds))


def plane_spacing(ds: Dataset, index: int) -> tuple[float, float] | None:
    """Millimetres between rows and columns of a frame, in this order (PS3.3 10.7.1.3); None where they are wrong."""
    measures = group_item(ds, index, "PixelMeasuresSequence") or ds
    plane = finite_numbers(measures, "PixelSpacing") or finite_numbers(ds, "ImagerPixelSpacing")
    return (plane[0], plane[1]) if len(plane) == 2 and plausible_plane(*plane) else None


def pixel_shape(ds: Dataset) -> float | None:
    """Height of a pixel over its width where nothing else is stated of its size; None where that isn't either.

    Pixel Aspect Ratio (0028,0034), vertical first (PS3.3 C.7.6.3.1.7); Nominal Scanned Pixel Spacing (0018,2010), which
    is measured on a film and not in the patient (PS3.3 10.7.1.3).
    """
    stated = (finite_numbers(ds, keyword) for keyword in ("PixelAspectRatio", "NominalScannedPixelSpacing"))
    return next((sides[0] / sides[1] for sides in stated if len(sides) == 2 and plausible_plane(*sides)), None)


def _point(values: np.ndarray) -> Point:
    return float(values[0]), float(values[1]), float(values[2])


def _own_position(ds: Dataset, index: int, shared: np.ndarray | None) -> np.ndarray | None:
    group = group_item(ds, index, "PlanePositionSequence")
    if group is None:
        return shared
    place = finite_numbers(group, "ImagePositionPatient")
    return np.asarray(place) if len(place) == 3 else None


def _shared_positions(ds: Dataset, count: int) -> list[np.ndarray | None]:
    """Positions as the one Image Position (Patient) of the file gives them; None for frames that it says nothing of."""
    place = finite_numbers(ds, "ImagePositionPatient")
    if len(place) != 3:
        return [None] * count
    if count == 1:
        return [np.asarray(place)]
    normal, offsets = normal_of(ds, 0), finite_numbers(ds, "GridFrameOffsetVector")
    if normal is None or len(offsets) != count:
        return [None] * count
    # Offsets start at 0, or at the position itself where slices are axial (PS3.3 C.8.8.3.2).
    return [np.asarray(place) + (offset - offsets[0]) * normal for offset in offsets]


def _tile_positions(ds: Dataset, count: int, direction: np.ndarray | None) -> list[np.ndarray | None]:
    """Positions of a mosaic's slices, next to one another at the stated distance."""
    place, normal = finite_numbers(ds, "ImagePositionPatient"), normal_of(ds, 0)
    gap = finite_number(ds, "SpacingBetweenSlices") or finite_number(ds, "SliceThickness")
    if len(place) != 3 or normal is None or not gap:
        return [None] * count
    backwards = direction is not None and float(direction @ normal) < 0
    step = -normal if backwards else normal
    return [np.asarray(place) + index * abs(gap) * step for index in range(count)]


def _slice_numbers(ds: Dataset, count: int) -> list[float | None]:
    """In-Stack Position Number (0020,9057), or the Slice Vector (0054,0080) of nuclear medicine.

    Where there are neither, Number of Temporal Positions (0020,0105) tells after how many frames the slices come again.
    """
    vector = finite_numbers(ds, "SliceVector")
    if len(vector) == count:
        return list(vector)
    times = finite_number(ds, "NumberOfTemporalPositions") or 1
    if count > 1 and "PerFrameFunctionalGroupsSequence" not in ds and 1 < times < count and count % times == 0:
        return [index % (count / times) for index in range(count)]
    groups = (group_item(ds, index, "FrameContentSequence") for index in range(count))
    return [finite_number(group, "InStackPositionNumber") for group in groups]
