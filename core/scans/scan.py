"""The one shape that every kind of scan is brought into."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral

import numpy as np

from core.scans.geometry import Placement, Spacing
from core.scans.memory.scaled import Values, stored_of
from core.scans.windowing import Lut, Window, apply_lut, apply_window

__all__ = ["Scan", "ScanError", "Window"]

_BAND_VALUES = 2**20


class ScanError(ValueError):
    """A source that cannot be shown as a scan; its text is one sentence for the person who brought the file."""


class TooLarge(ScanError):
    """The pixels of a scan would take more than they may."""


def volume_note(volume: int, count: int) -> str:
    """Say which of several volumes a scan shows."""
    return f"The series holds {count} volumes; volume {volume + 1} of {count} is shown."


def choice_note(count: int, slices: int, which: str) -> str:
    """Say that of `count` series the one of so many slices is shown, and which that is."""
    return f"{count} series are here; {which}, of {slices} image{'s' * (slices != 1)}, is shown."


def checked_volume(volume: object, count: int, name: str) -> int:
    """Return `volume` where it is one of `count`, from 0; else raise ScanError."""
    return _checked_choice(volume, count, name, "volume")


def checked_series(series: object, count: int, name: str) -> int:
    """Return `series` where it is one of `count`, from 0, and 0 for None; else raise ScanError."""
    return 0 if series is None else _checked_choice(series, count, name, "series")


def _checked_choice(index: object, count: int, name: str, what: str) -> int:
    if not isinstance(index, Integral) or isinstance(index, bool):
        raise ScanError(f"A {what} is chosen by a whole number, not by {type(index).__name__}.")
    number = int(index)
    if not 0 <= number < count:
        raise ScanError(f"There is no {what} {number} in '{name}': choose one from 0 to {count - 1}.")
    return number


@dataclass(frozen=True)
class Series:
    """What one series of an upload is, told without its pixels.

    Attributes
    ----------
    modality, plane, sequence
        As those of `Scan`.
    slices : int
        Frames of one of its volumes, at least 1.
    volumes : int
        How often its slices were taken: with several echoes, diffusion weightings, at several times; at least 1.
    localizer : bool
        Whether it was taken to plan the others.
    spacing : tuple of float or None
        As `Scan.millimetres`.
    notes : tuple of str
        What was left out, in plain sentences.
    thumbnail : numpy.ndarray or None
        (H, W) or (H, W, 3) uint8, one of its middle slices in square pixels, small; None where none was asked for, or
        it can't be decoded.
    """

    modality: str | None
    plane: str | None
    sequence: str | None
    slices: int
    volumes: int
    spacing: tuple[float, float, float] | None
    localizer: bool = False
    notes: tuple[str, ...] = ()
    thumbnail: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def description(self) -> str:
        """A line that tells it from the others, such as 'axial FLAIR, 24 slices'; never the file's own words."""
        kind = "localizer" if self.localizer else self.sequence or self.modality or "images"
        parts = [f"{self.plane} {kind}" if self.plane else kind, f"{self.slices} slice{'s' * (self.slices != 1)}"]
        return ", ".join(parts + [f"{self.volumes} volumes"] * (self.volumes > 1))


@dataclass(frozen=True, eq=False)
class Scan:
    """Pixels and de-identified facts of one scan.

    Attributes
    ----------
    name : str
        File name shown to the viewer.
    kind : str
        ``'dicom'``, ``'nifti'`` or ``'raster'``.
    values : Values
        Read-only. Grey: (F, H, W) in modality units, i.e. after the modality LUT or rescale (HU for CT), in the
        smallest type that holds them; where they are fractions of integers, these are held and float32 is computed of
        them, of a frame at a time: `numpy.asarray` gives all. Colour: (F, H, W, 3), uint8 or uint16 over the full range
        of the type.
    modality : str or None
        (0008,0060) Modality such as ``'MR'``; None where the format states none.
    windows : tuple of Window
        Presets in modality units, the default first; empty for colour.
    inverted : bool
        True where low values are meant to be bright (MONOCHROME1, PS3.3 C.7.6.3.1.2).
    spacing : tuple of float or None
        Distances between slices, rows and columns, in this order; None where unknown.
    tags : dict of str
        Display-ready technical tags from an allow-list; never anything that names a person, place or date.
    notes : tuple of str
        Plain sentences that the viewer should see.
    derived : str or None
        ``'synthetic'``, ``'attacked'`` or ``'purified'`` where Purescan itself wrote the file.
    sha256 : str
        Digest of the source bytes, in hexadecimal.
    exact : bool
        True for a derived file of 16 bits: its pixels must be neither resampled nor windowed again.
    voi_lut : Lut or None
        VOI LUT of the file (PS3.3 C.11.2.1.1), used when no window is asked for.
    frame_windows : tuple of Window or None
        Default window of each frame, where it changes from frame to frame.
    plane : str or None
        One of `core.scans.geometry.PLANES`, where the file says how all of its frames lie in the patient.
    axes : str or None
        One of `core.scans.geometry.AXES`, what slices, rows and columns run towards; None where the file doesn't say.
    sequence : str or None
        One of `core.scans.dicom.acquisition.SEQUENCES`, where the file's tags tell how the tissues are weighted.
    placement : Placement or None
        Where its slices lie in the patient; None where the file doesn't say. For laying outlines on it: it is never
        shown or written.
    series : str or None
        What tells files of one DICOM series from those of another, as a digest; None where the format states none.
        For comparing alone: it is never shown or written.
    volume : int
        Which volume of the series `values` is, from 0; `core.scans.load_scan` opens another.
    volume_count : int
        How many there are, at least 1.
    series_index : int
        Which series of its source it is, from 0: `core.scans.list_series` tells of the others.
    series_count : int
        How many there are, at least 1.
    left_out : tuple of str
        Those of the `notes` that say what of the source isn't in it.
    measured : bool
        Whether `spacing` is in millimetres; where it isn't, it tells how high a pixel is for its width, and no more.
    """

    name: str
    kind: str
    values: Values
    modality: str | None
    windows: tuple[Window, ...]
    inverted: bool
    spacing: tuple[float, float, float] | None
    tags: dict[str, str]
    notes: tuple[str, ...]
    derived: str | None
    sha256: str
    exact: bool = False
    voi_lut: Lut | None = None
    frame_windows: tuple[Window, ...] | None = None
    plane: str | None = None
    axes: str | None = None
    sequence: str | None = None
    placement: Placement | None = None
    series: str | None = None
    volume: int = 0
    volume_count: int = 1
    series_index: int = 0
    series_count: int = 1
    left_out: tuple[str, ...] = ()
    measured: bool = True

    def __post_init__(self) -> None:
        # A scan is shared between visitors through caches: nobody may write into it.
        stored_of(self.values).flags.writeable = False

    @property
    def key(self) -> str:
        """Tells it from every other scan, those of the same source among them."""
        return f"{self.sha256[:16]}-{self.series_index}-{self.volume}"

    @property
    def frame_count(self) -> int:
        """Number of frames, at least 1."""
        return int(self.values.shape[0])

    @property
    def is_colour(self) -> bool:
        """True where `values` has three channels."""
        return self.values.ndim == 4

    @property
    def millimetres(self) -> Spacing:
        """`spacing` where it is in millimetres, else None."""
        return self.spacing if self.measured else None

    @property
    def default_frame(self) -> int:
        """Index of the middle frame, where a volume shows the most."""
        return self.frame_count // 2

    @property
    def presets(self) -> tuple[Window | None, ...]:
        """What a viewer offers: None for what is shown where nothing was chosen, then the windows beside it."""
        return (None, *(self.windows if self.voi_lut else self.windows[1:]))

    def frame(self, index: int | None = None, window: Window | None = None) -> np.ndarray:
        """Return one frame ready for display and for the models.

        Parameters
        ----------
        index : int, optional
            Frame to return, 0 to ``frame_count - 1``; the middle one by default.
        window : Window, optional
            Window in modality units. Without it: the VOI LUT of the file, else the window of the frame, else the
            first preset. Colour frames have no window (PS3.3 C.11.2 holds for monochrome only) and ignore it.

        Returns
        -------
        numpy.ndarray
            float32 in [0, 1], (H, W) for grey and (H, W, 3) for colour, 1 being bright.

        Raises
        ------
        ScanError
            Where `index` is not a frame of this scan.
        """
        number = self._checked(index)
        shown = np.empty(self.values.shape[1:], np.float32)
        # Windows compute in 64 bits: of a large frame, a band at a time.
        step = max(1, _BAND_VALUES // shown[0].size)
        for top in range(0, len(shown), step):
            shown[top : top + step] = self._shown(self.values[number, top : top + step], number, window)
        return shown

    def _shown(self, rows: np.ndarray, number: int, window: Window | None) -> np.ndarray:
        if self.is_colour:
            return rows / np.iinfo(rows.dtype).max
        grey = self._windowed(rows, number, window)
        return 1.0 - grey if self.inverted else grey

    def _checked(self, index: int | None) -> int:
        return self.default_frame if index is None else _checked_choice(index, self.frame_count, self.name, "frame")

    def _windowed(self, rows: np.ndarray, number: int, window: Window | None) -> np.ndarray:
        if window is not None:
            return apply_window(rows, window)
        if self.voi_lut is not None:
            return apply_lut(rows, self.voi_lut)
        if self.frame_windows is not None:
            return apply_window(rows, self.frame_windows[number])
        return apply_window(rows, self.windows[0])


def series_facts(scan: Scan) -> Series:
    """The series that a scan is, where its source holds no other."""
    return Series(
        modality=scan.modality,
        plane=scan.plane,
        sequence=scan.sequence,
        slices=scan.frame_count,
        volumes=scan.volume_count,
        spacing=scan.millimetres,
        notes=scan.left_out,
    )
