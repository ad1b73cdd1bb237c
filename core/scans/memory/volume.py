"""The frames of a scan, put one after the other into memory that another process can be handed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.scans import limits
from core.scans.memory.scaled import STRAIGHT, Line, valued
from core.scans.memory.shared import SharedMemory
from core.scans.scan import TooLarge


class Volume:
    """Room for the frames of one scan, which all have one shape; it is made with the first of them.

    Parameters
    ----------
    count : int
        How many there may be; where there are more, room is made for twice as many.
    name : str
        File name for the messages.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._values: np.ndarray | None = None
        self._lines: dict[int, Line] = {}

    def put(self, place: int, frame: np.ndarray, line: Line = STRAIGHT) -> None:
        """Put a frame, (H, W) or (H, W, 3), to its place; the type of all is widened where it takes that.

        Among floats, a frame's values on its line are put, and not what is stored.

        Raise TooLarge where all of them would take too much, ValueError where a frame has another shape.
        """
        values = self._values
        if values is None:
            values = self._values = self._room(frame.shape, frame.dtype.newbyteorder("="))
        if frame.shape != values.shape[1:]:
            raise ValueError("The frames have different shapes.")
        kind = common_type(values.dtype, frame.dtype)
        if kind != values.dtype or place >= self._count:
            self._count *= 2 if place >= self._count else 1
            other = self._room(frame.shape, kind)
            for index, known in enumerate(values):
                other[index] = self._held(known, self._lines.get(index, STRAIGHT), index, kind)
            values = self._values = other
        values[place] = self._held(frame, line, place, kind)

    def _held(self, frame: np.ndarray, line: Line, place: int, kind: np.dtype) -> np.ndarray:
        self._lines[place] = STRAIGHT if kind.kind == "f" else line
        return valued(frame, line) if kind.kind == "f" else frame

    def lines(self, places: Sequence[int]) -> list[Line]:
        """The lines of the frames at some places."""
        return [self._lines.get(place, STRAIGHT) for place in places]

    def take(self, places: Sequence[int] | None = None) -> np.ndarray:
        """Return the frames (F, H, W) or (F, H, W, 3): all, or only those at some places, which rise."""
        values = self._values
        if values is None:
            raise ValueError("There are no frames.")
        if places is None or len(places) == len(values):
            return values
        for index, place in enumerate(places):
            values[index] = values[place]
        return values[: len(places)]

    def _room(self, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        return shared_array((self._count, *shape), kind, self._name)


def common_type(*kinds: np.dtype) -> np.dtype:
    """The type that holds values of several types, no wider than float32 where it is a float."""
    kind = np.result_type(*kinds)
    return np.dtype(np.float32) if kind.kind == "f" and kind.itemsize > 4 else kind


def shared_array(shape: tuple[int, ...], kind: np.dtype, name: str) -> np.ndarray:
    """Return zeros in shared memory; TooLarge where they would take more than a scan may."""
    size = math.prod(shape) * kind.itemsize
    if size > limits.MAX_SCAN_BYTES:
        raise TooLarge(limits.TOO_MUCH_MEMORY.format(name))
    return np.frombuffer(SharedMemory.zeros(size), kind, math.prod(shape)).reshape(shape)


def collapsed(colour: np.ndarray) -> np.ndarray:
    """Return (F, H, W) where the three channels of (F, H, W, 3) are all equal, else `colour` itself."""
    same = all(np.array_equal(frame[..., 0], frame[..., own]) for frame in colour for own in (1, 2))
    return np.ascontiguousarray(colour[..., 0]) if same else colour
