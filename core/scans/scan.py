"""The one shape that every kind of scan is brought into."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from core.scans.windowing import Lut, Window, apply_lut, apply_window

__all__ = ["Scan", "ScanError", "Window"]

_BAND_VALUES = 2**20


class ScanError(ValueError):
    """A source that cannot be shown as a scan; its text is one sentence for the person who brought the file."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Pixels and de-identified facts of one scan.

    Attributes
    ----------
    name : str
        File name shown to the viewer.
    kind : str
        ``'dicom'``, ``'nifti'`` or ``'raster'``.
    values : numpy.ndarray
        Read-only. Grey: (F, H, W) in modality units, i.e. after the modality LUT or rescale (HU for CT), in the
        smallest type that holds them. Colour: (F, H, W, 3), uint8 or uint16 over the full range of the type.
    modality : str or None
        (0008,0060) Modality such as ``'MR'``; None where the format states none.
    windows : tuple of Window
        Presets in modality units, the default first; empty for colour.
    inverted : bool
        True where low values are meant to be bright (MONOCHROME1, PS3.3 C.7.6.3.1.2).
    spacing : tuple of float or None
        Millimetres between slices, rows and columns, in this order; None where unknown.
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
    """

    name: str
    kind: str
    values: np.ndarray
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

    def __post_init__(self) -> None:
        # A scan is shared between visitors through caches: nobody may write into it.
        self.values.flags.writeable = False

    @property
    def frame_count(self) -> int:
        """Number of frames, at least 1."""
        return int(self.values.shape[0])

    @property
    def is_colour(self) -> bool:
        """True where `values` has three channels."""
        return self.values.ndim == 4

    @property
    def default_frame(self) -> int:
        """Index of the middle frame, where a volume shows the most."""
        return self.frame_count // 2

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
        plane = self.values[number]
        shown = np.empty(plane.shape, np.float32)
        # Windows compute in 64 bits: of a large frame, a band at a time.
        step = max(1, _BAND_VALUES // plane[0].size)
        for top in range(0, len(plane), step):
            shown[top : top + step] = self._shown(plane[top : top + step], number, window)
        return shown

    def _shown(self, rows: np.ndarray, number: int, window: Window | None) -> np.ndarray:
        if self.is_colour:
            return rows / np.iinfo(rows.dtype).max
        grey = self._windowed(rows, number, window)
        return 1.0 - grey if self.inverted else grey

    def _checked(self, index: int | None) -> int:
        if index is None:
            return self.default_frame
        if not isinstance(index, Integral) or isinstance(index, bool):
            raise ScanError(f"A frame is chosen by a whole number, not by {type(index).__name__}.")
        if not 0 <= index < self.frame_count:
            raise ScanError(f"There is no frame {index} in '{self.name}': choose one from 0 to {self.frame_count - 1}.")
        return int(index)

    def _windowed(self, rows: np.ndarray, number: int, window: Window | None) -> np.ndarray:
        if window is not None:
            return apply_window(rows, window)
        if self.voi_lut is not None:
            return apply_lut(rows, self.voi_lut)
        if self.frame_windows is not None:
            return apply_window(rows, self.frame_windows[number])
        return apply_window(rows, self.windows[0])
