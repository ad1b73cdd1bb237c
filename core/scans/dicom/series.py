"""Which DICOM images belong together, and which of them to show first: decided here and nowhere else."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.attributes import DAMAGED, damaged, finite_number
from core.scans.dicom.frames import Frame, frames_of
from core.scans.dicom.reading import PIXEL_KEYWORDS, pixels_at_hand, unread
from core.scans.dicom.tags import coded
from core.scans.dicom.volumes import heights, volumes_of

_PARALLEL = 1e-2
_STACK = 3
"""Slices of one plane that are a series of their own, when the others of a Series Instance UID lie elsewhere."""

_FEW = 10
"""A localizer has no more slices a plane."""

# Free text, of which each vendor's scanners and every technician have their own: none of it is shown.
_LOCALIZER = re.compile(
    r"(?<![a-z])(locali[sz]er|lokali|scouts?|survey|surview|topogram|scanogram|(3|three|tri)[ _-]?pl(ane)?[ _-]?(loc)?"
    r"|loc)(?![a-z])",
    re.IGNORECASE,
)
_NO_IMAGES = ("DOC", "OT", "PR", "SC", "SEG")

_NAMING = (
    "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "ImageType", "PhotometricInterpretation",
    "SeriesDescription", "ProtocolName", "ImagePositionPatient", *PIXEL_KEYWORDS,
)  # fmt: skip

Image = tuple[str, Dataset]
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """Frames of one size and kind and, where they are placed, of one plane.

    Attributes
    ----------
    volumes : list of list of Frame
        As `volumes_of` orders them; at least one, and none of them empty.
    localizer : bool
        Whether it was taken to plan the others.
    notes : list of str
        What was left out, in plain sentences.
    """

    volumes: list[list[Frame]]
    localizer: bool
    notes: list[str]

    @property
    def first(self) -> Dataset:
        """The file of the first frame."""
        return self.volumes[0][0].ds

    @property
    def placed(self) -> bool:
        """Whether its slices are in the order of their places."""
        return heights(self.volumes[0]) is not None

    @property
    def screen(self) -> bool:
        """Whether it is a picture of a screen or a document, or a drawing over another image."""
        return _no_images(self.first)

    @property
    def rank(self) -> tuple[object, ...]:
        """Sorts what is shown first to the front: images before screens, large before small, localizers last."""
        return self.localizer, self.screen, -len(self.volumes[0]), -_area(self.first), _number(self.first)


def check_named(ds: Dataset, name: str) -> None:
    """Raise ScanError where an attribute that tells one series from another can't be read."""
    for keyword in _NAMING:
        if unread(ds, keyword):
            continue
        try:
            ds.get(keyword)
        except DAMAGED as error:
            raise damaged(keyword, name) from error


def series_of(images: list[Image]) -> list[DicomSeries]:
    """Divide images into series, the one to show first at the front.

    Parameters
    ----------
    images : list of (str, Dataset)
        Name and data set of each file, with Rows and Columns; at least one.
    """
    files = _grouped(images, lambda image: str(image[1].get("SeriesInstanceUID", "")))
    found = [series for group in files for series in _divided(group)]
    return sorted(found, key=lambda series: series.rank)


def _divided(images: list[Image]) -> list[DicomSeries]:
    """The series among the files of one Series Instance UID."""
    unique = _without_copies(images)
    frames = [frame for file, ds in unique for frame in frames_of(file, ds)]
    groups = _parallel(frames)
    kept = [group for group in groups if len(group) >= _STACK]
    if not kept:
        kept = [groups[0] if 2 * len(groups[0]) > len(frames) else _of_kind(frames, groups[0][0])]
    notes = _left_out(frames, kept)
    if len(unique) < len(images):
        copies = len(images) - len(unique)
        what = "is a copy of another and was" if copies == 1 else "are copies of others and were"
        notes.append(f"{copies} of the {len(images)} files {what} left out.")
    localizer = _named_localizer(images[0][1]) or _crosses(groups)
    found = []
    for group in kept:
        volumes, repeated = volumes_of(group)
        more = [_slices_left_out(repeated, "at a place that another has")] if repeated else []
        found.append(DicomSeries(volumes, localizer, notes + more))
    return found


def _grouped(items: list[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return sorted(groups.values(), key=len, reverse=True)


def _without_copies(images: list[Image]) -> list[Image]:
    """Keep one of the files that are the same image, pixels and all: some anonymizers give all the same UID."""
    unique: dict[Hashable, Image] = {}
    uids = [str(ds.get("SOPInstanceUID", "")) for _, ds in images]
    counts = Counter(uids)
    for place, (image, uid) in enumerate(zip(images, uids, strict=True)):
        key = (uid, _digest(image[1])) if uid and counts[uid] > 1 else place
        unique.setdefault(key, image)
    return list(unique.values())


def _digest(ds: Dataset) -> bytes:
    place = str(ds.get("ImagePositionPatient", "")).encode("utf-8", "replace")
    digest = hashlib.sha256(place)
    with pixels_at_hand(ds):
        digest.update(next(ds[keyword].value for keyword in PIXEL_KEYWORDS if keyword in ds) or b"")
    return digest.digest()


def _parallel(frames: list[Frame]) -> list[list[Frame]]:
    """Group frames of one size and kind, of one direction, placed or not; the largest group first."""
    directions: list[np.ndarray] = []

    def direction(normal: np.ndarray | None) -> int:
        if normal is None:
            return -1
        near = np.abs(np.array(directions) - normal).max(axis=1) <= _PARALLEL if directions else np.array([False])
        if near.any():
            return int(near.argmax())
        directions.append(normal)
        return len(directions) - 1

    return _grouped(frames, lambda frame: (_kind(frame.ds), direction(frame.normal), frame.position is None))


def _kind(ds: Dataset) -> tuple[object, ...]:
    return int(ds.Rows), int(ds.Columns), ds.get("SamplesPerPixel", 1), str(ds.get("PhotometricInterpretation", ""))


def _of_kind(frames: list[Frame], wanted: Frame) -> list[Frame]:
    return [frame for frame in frames if _kind(frame.ds) == _kind(wanted.ds)]


def _left_out(frames: list[Frame], kept: list[list[Frame]]) -> list[str]:
    """Say what none of the series of one Series Instance UID shows."""
    shown = {id(frame) for group in kept for frame in group}
    others = [frame for frame in frames if id(frame) not in shown]
    kinds = {_kind(group[0].ds) for group in kept}
    kind = [frame for frame in others if _kind(frame.ds) not in kinds]
    same = [frame for frame in others if _kind(frame.ds) in kinds]
    unplaced = sum(frame.position is None for frame in same)
    notes = []
    if kind:
        what = "image of another size or kind was" if len(kind) == 1 else "images of another size or kind were"
        notes.append(f"{len(kind)} {what} left out of the series.")
    if unplaced:
        notes.append(_slices_left_out(unplaced, "without a stated place"))
    if len(same) > unplaced:
        notes.append(_slices_left_out(len(same) - unplaced, "in another plane"))
    return notes


def _slices_left_out(count: int, why: str) -> str:
    return f"1 slice {why} was left out." if count == 1 else f"{count} slices {why} were left out."


def _named_localizer(ds: Dataset) -> bool:
    """Whether Image Type (0008,0008) or a description says so."""
    kinds = ds.get("ImageType") or ()
    words = " ".join(str(ds.get(keyword, "")) for keyword in ("SeriesDescription", "ProtocolName"))
    return "LOCALIZER" in ((kinds,) if isinstance(kinds, str) else tuple(kinds)) or bool(_LOCALIZER.search(words))


def _crosses(groups: list[list[Frame]]) -> bool:
    """Whether there are a few slices in each of several directions."""
    placed = [group for group in groups if group[0].normal is not None]
    sizes = [len(group) for group in placed]
    return len(sizes) > 1 and max(sizes) <= _FEW and sum(4 * size >= max(sizes) for size in sizes) > 1


def _no_images(ds: Dataset) -> bool:
    sop_class = getattr(ds.get("SOPClassUID"), "name", "")
    return coded(ds, "Modality") in _NO_IMAGES or "Secondary Capture" in sop_class


def _area(ds: Dataset) -> int:
    return int(ds.Rows) * int(ds.Columns)


def _number(ds: Dataset) -> float:
    number = finite_number(ds, "SeriesNumber")
    return float("inf") if number is None else number
