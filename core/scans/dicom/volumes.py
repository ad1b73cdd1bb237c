"""Frames that lie at the same places several times → volumes: echoes, diffusion weightings, points in time, phases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from pydicom.multival import MultiValue

from core.scans.dicom.attributes import DAMAGED, finite_number, group_item, private_value
from core.scans.dicom.frames import Frame

_SAME_POSITION = 1e-2
"""Millimetres; a repeated slice is written with another rounding now and then."""

_MOST_DIMENSIONS = 8

Value = float | str | tuple
Tag = Callable[[Frame], object]
Slot = tuple[float, Frame]


def _stated(keyword: str, sequence: str | None = None) -> Tag:
    """What the functional group `sequence` of a frame says, else the file (PS3.3 C.7.6.16)."""
    return lambda frame: ((sequence and group_item(frame.ds, frame.index, sequence)) or frame.ds).get(keyword)


def _direction(frame: Frame) -> object:
    group = group_item(frame.ds, frame.index, "MRDiffusionSequence") or frame.ds
    items = group.get("DiffusionGradientDirectionSequence")
    return (items[0] if items else group).get("DiffusionGradientOrientation")


def _private(group: int, creator: str, element: int) -> Tag:
    return lambda frame: private_value(frame.ds, group, creator, element)


def _counted(keyword: str) -> Tag:
    """What a vector of nuclear medicine says of a frame (PS3.3 C.8.4.8)."""

    def value(frame: Frame) -> object:
        vector = frame.ds.get(keyword)
        return vector[frame.index] if isinstance(vector, MultiValue) and frame.index < len(vector) else None

    return value


def _dimension(number: int) -> Tag:
    """One of the Dimension Index Values (0020,9157) of a frame (PS3.3 C.7.6.17)."""

    def value(frame: Frame) -> object:
        group = group_item(frame.ds, frame.index, "FrameContentSequence")
        values = group.get("DimensionIndexValues") if group is not None else None
        return values[number] if isinstance(values, MultiValue) and number < len(values) else None

    return value


_CONTRASTS: tuple[Tag, ...] = (
    _stated("EffectiveEchoTime", "MREchoSequence"),
    _stated("EchoTime"),
    _stated("EchoNumbers"),
    _stated("DiffusionBValue", "MRDiffusionSequence"),
    _private(0x0019, "SIEMENS MR HEADER", 0x0C),
    _private(0x0043, "GEMS_PARM_01", 0x39),
    _private(0x2001, "Philips Imaging DD 001", 0x03),
    _stated("SequenceName"),
    _direction,
    _stated("ComplexImageComponent", "MRImageFrameTypeSequence"),
    _stated("FrameType", "MRImageFrameTypeSequence"),
    _stated("ImageType"),
    _stated("InversionTimes", "MRModifierSequence"),
    _stated("InversionTime"),
    _stated("FlipAngle", "MRTimingAndRelatedParametersSequence"),
    _stated("RepetitionTime"),
    _stated("KVP"),
    _stated("ConvolutionKernel"),
    _stated("ReferencedSegmentNumber", "SegmentIdentificationSequence"),
    _counted("EnergyWindowVector"),
)
_TIMES: tuple[Tag, ...] = (
    _stated("TemporalPositionIndex", "FrameContentSequence"),
    _stated("TemporalPositionIdentifier"),
    _stated("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"),
    _stated("TriggerTime"),
    *(_counted(keyword) for keyword in ("PhaseVector", "RRIntervalVector", "TimeSlotVector", "TimeSliceVector")),
    *(_dimension(number) for number in range(_MOST_DIMENSIONS)),
    _stated("FrameReferenceTime"),
    _stated("AcquisitionNumber"),
    _stated("AcquisitionTime"),
    _stated("ContentTime"),
)


def volumes_of(frames: list[Frame]) -> tuple[list[list[Frame]], int]:
    """Divide the frames of a series.

    Frames that all lie at one place are one volume, whose frames follow one another in time, as in a cine: only another
    contrast makes another volume of them.

    Parameters
    ----------
    frames : list of Frame
        At least one, of one plane.

    Returns
    -------
    list of list of Frame
        The volumes by echo time, diffusion weighting, …, then time; in each its slices along the normal
        (PS3.3 C.7.6.2.1.1), else by number.
    int
        How many frames belong to no volume: slices that were repeated here and there.
    """
    slots, certain = _slots(sorted(frames))
    places = len({slot for slot, _ in slots})
    tags = _CONTRASTS + _TIMES if places > 1 else _CONTRASTS
    volumes = list(_split(slots, tags, in_turn=certain and places > 1))
    most = max(map(len, volumes))
    whole = [sorted(volume) for volume in volumes if 2 * len(volume) >= most]
    return [[frame for _, frame in volume] for volume in whole], len(frames) - sum(map(len, whole))


def heights(frames: list[Frame]) -> np.ndarray | None:
    """Millimetres of each frame along the normal of the first; None where one has no place."""
    normal = frames[0].normal
    places = [frame.position for frame in frames]
    if normal is None or any(place is None for place in places):
        return None
    return np.array([float(place @ normal) for place in places])


def _slots(frames: list[Frame]) -> tuple[list[Slot], bool]:
    """Number the frames so that those at the same place have the same number, in the order of the places.

    Say as well whether these are places: an Instance Number that two images share may mean nothing.
    """
    along = heights(frames)
    if along is not None:
        order = np.argsort(along, kind="stable")
        steps = np.concatenate([[0], np.cumsum(np.diff(along[order]) >= _SAME_POSITION)])
        return [(float(step), frames[index]) for step, index in zip(steps, order, strict=True)], True
    numbers = [frame.number for frame in frames]
    certain = None not in numbers
    if not certain and len({frame.file for frame in frames}) == len(frames):
        numbers = [finite_number(frame.ds, "InstanceNumber") for frame in frames]
    if None in numbers:
        numbers = list(range(len(frames)))
    slots = [(float(number), frame) for number, frame in zip(numbers, frames, strict=True) if number is not None]
    return slots, certain


def _split(slots: list[Slot], tags: tuple[Tag, ...], in_turn: bool) -> Iterator[list[Slot]]:
    """Yield groups that hold each place once, told apart by as few tags as it takes, else by their order there.

    Without `in_turn`, what no tag tells apart stays together.
    """
    most = _most(slots)
    for number, tag in enumerate(tags if most > 1 else ()):
        groups = _told_apart(slots, tag, most)
        if groups:
            for group in groups:
                yield from _split(group, tags[number + 1 :], in_turn)
            return
    yield from _in_turn(slots) if in_turn else [slots]


def _most(slots: list[Slot]) -> int:
    """The most frames at one place."""
    return max(Counter(slot for slot, _ in slots).values())


def _told_apart(slots: list[Slot], tag: Tag, most: int) -> list[list[Slot]]:
    """Group by a tag; nothing where it doesn't tell frames at one place apart, or tells apart what lies elsewhere."""
    groups = defaultdict(list)
    for slot in slots:
        groups[_comparable(tag, slot[1])].append(slot)
        if len(groups) > most:
            return []
    if len(groups) < 2 or any(_most(group) == most for group in groups.values()):
        return []
    if all(value is None or isinstance(value, float) for value in groups):
        return [groups[value] for value in sorted(groups, key=lambda value: (value is not None, value))]
    return sorted(groups.values(), key=lambda group: min(frame.order for _, frame in group))


def _comparable(tag: Tag, frame: Frame) -> Value | None:
    """The value of a tag as a number, else as text; a damaged one counts as none."""
    try:
        value = tag(frame)
    except DAMAGED:
        return None
    if isinstance(value, (MultiValue, list, tuple)):
        return tuple(str(part) for part in value)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value) if isinstance(value, (bytes, str)) and value else None


def _in_turn(slots: list[Slot]) -> list[list[Slot]]:
    """The first frame at each place, then the second, …"""
    volumes: list[list[Slot]] = [[] for _ in range(_most(slots))]
    seen: Counter[float] = Counter()
    for slot, frame in sorted(slots, key=lambda pair: pair[1].order):
        volumes[seen[slot]].append((slot, frame))
        seen[slot] += 1
    return volumes


def gaps(frames: list[Frame]) -> list[float]:
    """Millimetres between neighbours of a sorted volume; empty where they have no places, or all the same."""
    along = heights(frames)
    between = [] if along is None else [float(high - low) for low, high in pairwise(along)]
    return [] if between and min(between) < _SAME_POSITION else between
