"""Integers as a file holds them, of which values are made where these are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Line = tuple[float, float]
"""Slope and intercept: a value is ``slope * stored + intercept``."""

STRAIGHT: Line = (1.0, 0.0)
"""What is stored is the value."""

_MOST = float(np.finfo(np.float32).max) / 4


class Scaled:
    """Grey frames, held as integers and read as float32: a frame at a time, as all of them take twice the memory.

    It is indexed as an array is, by the frames first; each time values are computed anew, in 64 bits.

    Parameters
    ----------
    stored : numpy.ndarray
        (F, H, W) integers.
    lines : sequence of Line
        That of each frame, all of them `is_line`.
    """

    dtype, ndim = np.dtype(np.float32), 3

    def __init__(self, stored: np.ndarray, lines: Sequence[Line]) -> None:
        self.stored, self.lines = stored, tuple(lines)
        self._ends = np.array(lines, np.float64).reshape(len(stored), 2)

    @property
    def shape(self) -> tuple[int, ...]:
        """F, H, W."""
        return self.stored.shape

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.stored.size

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, key: Any) -> np.ndarray:
        chosen = self.stored[key]
        lines = self._ends[key[0] if isinstance(key, tuple) else key]
        alike = (*lines.shape[:-1], *(1,) * (chosen.ndim - lines.ndim + 1))
        return _on(chosen, lines[..., 0].reshape(alike), lines[..., 1].reshape(alike))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("These values are computed.")
        values = np.empty(self.shape, dtype or self.dtype)
        for index, frame in enumerate(self):
            values[index] = frame
        return values


def valued(stored: np.ndarray, line: Line) -> np.ndarray:
    """The values of integers (any shape) on a line: float32, or the array itself where it changes nothing."""
    return stored if line == STRAIGHT else _on(stored, *line)


def _on(stored: np.ndarray, slope: float | np.ndarray, intercept: float | np.ndarray) -> np.ndarray:
    values = stored.astype(np.float64)
    values *= slope
    values += intercept
    return values.astype(np.float32)


Values = np.ndarray | Scaled
"""Those of a scan: grey (F, H, W) or colour (F, H, W, 3)."""


def is_line(slope: float, intercept: float) -> bool:
    """Whether no integer's value on it is beyond float32."""
    return abs(slope) * 2.0**64 + abs(intercept) <= _MOST


def stays_stored(kind: np.dtype, line: Line) -> bool:
    """Whether integers of a type take less memory than their values on a line."""
    return kind.kind in "iu" and kind.itemsize < Scaled.dtype.itemsize and is_line(*line)


def on_lines(stored: np.ndarray, lines: Sequence[Line]) -> Values:
    """The values of some frames, (F, H, W) or (F, H, W, 3): the array itself where no line of theirs changes them."""
    return stored if all(line == STRAIGHT for line in lines) else Scaled(stored, lines)


def stored_of(values: Values) -> np.ndarray:
    """What is held of them."""
    return values.stored if isinstance(values, Scaled) else values


def lines_of(values: Values) -> tuple[Line, ...]:
    """The line of each frame; empty where what is held is the values."""
    return values.lines if isinstance(values, Scaled) else ()
