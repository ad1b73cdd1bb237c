"""Windows and lookup tables: from modality units to [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.scans.memory.scaled import Values

FULL_RANGE = "Full range"
ROBUST_RANGE = "Robust range"
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

# Percentiles of a volume are stable long before all of its voxels have been sorted.
_SAMPLE_SIZE = 2_000_000


@dataclass(frozen=True)
class Window:
    """A window of grey values (PS3.3 C.11.2.1.2).

    Attributes
    ----------
    center, width : float
        Modality units. `width` is at least 1 for LINEAR and above 0 otherwise.
    name : str
        Name shown to the viewer.
    function : str
        (0028,1056) VOI LUT Function: ``'LINEAR'``, ``'LINEAR_EXACT'`` or ``'SIGMOID'``.
    """

    center: float
    width: float
    name: str
    function: str = "LINEAR"

    @property
    def usable(self) -> bool:
        """False for a width that the standard does not allow, or for a number that is not finite."""
        least = 1.0 if self.function == "LINEAR" else np.finfo(np.float32).tiny
        finite = np.isfinite(self.center) and np.isfinite(self.width)
        return bool(finite and self.width >= least and self.function in FUNCTIONS)


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table (PS3.3 C.11.1.1 and C.11.2.1.1).

    Attributes
    ----------
    first : int
        Input value that maps to the first entry; lower values map to it as well.
    entries : numpy.ndarray
        (N,) unsigned integers; values beyond the table map to the last entry.
    bits : int
        Bits of an entry: the output range is 0 to ``2**bits - 1``.
    """

    first: int
    entries: np.ndarray
    bits: int


CT_PRESETS = (
    Window(40.0, 80.0, "Brain"),
    Window(-600.0, 1500.0, "Lung"),
    Window(300.0, 1500.0, "Bone"),
    Window(40.0, 400.0, "Soft tissue"),
)


def apply_window(values: np.ndarray, window: Window) -> np.ndarray:
    """Map modality units to [0, 1] through a window.

    The formulas are those of PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT)
    with an output from 0 to 1.

    Parameters
    ----------
    values : numpy.ndarray
        Any shape, modality units.
    window : Window
        In the same units.

    Returns
    -------
    numpy.ndarray
        float64 of the same shape, in [0, 1].

    Raises
    ------
    ValueError
        Where the width is not allowed or the function is unknown.
    """
    if not window.usable:
        raise ValueError(f"The window '{window.name}' ({window.center}, {window.width}) cannot be used.")
    x = values.astype(np.float64)
    if window.function == "SIGMOID":
        return _sigmoid(x, window)
    if window.function == "LINEAR_EXACT":
        return np.clip((x - window.center) / window.width + 0.5, 0.0, 1.0)
    return _linear(x, window)


def _linear(x: np.ndarray, window: Window) -> np.ndarray:
    middle = window.center - 0.5
    if window.width == 1:
        # The ramp has no length: the standard's comparisons leave a step.
        return (x > middle).astype(np.float64)
    return np.clip((x - middle) / (window.width - 1.0) + 0.5, 0.0, 1.0)


def _sigmoid(x: np.ndarray, window: Window) -> np.ndarray:
    # Beyond ±60 the result is 0 or 1 to the last bit, and exp would overflow.
    power = np.clip(-4.0 * (x - window.center) / window.width, -60.0, 60.0)
    return 1.0 / (1.0 + np.exp(power))


def look_up(values: np.ndarray, lut: Lut) -> np.ndarray:
    """Return the entries of `lut` for `values` (any shape), in the type of the entries."""
    steps = np.rint(values).astype(np.int64) - lut.first
    return lut.entries[np.clip(steps, 0, len(lut.entries) - 1)]


def apply_lut(values: np.ndarray, lut: Lut) -> np.ndarray:
    """Map modality units to [0, 1] through a VOI LUT (PS3.3 C.11.2.1.1).

    Parameters
    ----------
    values : numpy.ndarray
        Any shape, modality units.
    lut : Lut
        Entries of `lut.bits` bits.

    Returns
    -------
    numpy.ndarray
        float64 of the same shape, in [0, 1].
    """
    return np.minimum(look_up(values, lut) / (2.0**lut.bits - 1.0), 1.0)


def identity_window(bits: int, signed: bool = False) -> Window:
    """Return the window that maps the whole range of `bits` stored bits linearly onto [0, 1]."""
    return Window(0.0 if signed else 2.0 ** (bits - 1), 2.0**bits, FULL_RANGE)


def range_window(low: float, high: float, name: str) -> Window:
    """Return the window that maps `low` to 0 and `high` to 1; an image as good as constant becomes black."""
    if not high - low >= np.finfo(np.float32).tiny:
        # Of a large number, adding 1 may change nothing.
        high = low + max(1.0, abs(low) * 2.0**-20)
    return Window((low + high) / 2.0, high - low, name, "LINEAR_EXACT")


def full_window(values: Values, valid: np.ndarray | None = None) -> Window:
    """Return the window from the lowest to the highest of `values` (F, …) where `valid`."""
    low, high = extremes(values, valid)
    return range_window(low, high, FULL_RANGE)


def robust_window(values: Values, valid: np.ndarray | None = None) -> Window:
    """Return the window between the 0.5 and 99.5 percentiles of `values` (F, …) where `valid`."""
    step = max(1, values.size // _SAMPLE_SIZE)
    # values.reshape(-1)[::step], a frame at a time; a view would keep all of it.
    parts = [frame.reshape(-1)[-index * frame.size % step :: step].copy() for index, frame in enumerate(values)]
    chosen = np.concatenate(parts)
    if valid is not None:
        usable = chosen[valid.reshape(-1)[::step]]
        chosen = usable if usable.size else chosen
    low, high = np.percentile(chosen, (0.5, 99.5))
    if not high - low >= np.finfo(np.float32).tiny:
        return range_window(*extremes(values, valid), ROBUST_RANGE)
    return range_window(float(low), float(high), ROBUST_RANGE)


def extremes(values: Values, valid: np.ndarray | None = None) -> tuple[float, float]:
    """Return the least and the largest of `values` (F, …) where `valid`, or of all where nothing is."""
    parts = [slice(index, index + 1) for index in range(len(values))]  # a copy of one frame at a time
    found = [_ends(values[part], None if valid is None else valid[part]) for part in parts]
    known = [ends for ends in found if ends is not None]
    if not known:
        return extremes(values)
    return min(low for low, _ in known), max(high for _, high in known)


def _ends(frame: np.ndarray, valid: np.ndarray | None) -> tuple[float, float] | None:
    chosen = frame if valid is None else frame[valid]
    return (float(chosen.min()), float(chosen.max())) if chosen.size else None
