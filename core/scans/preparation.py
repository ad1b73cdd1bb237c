"""A scan's frame ↔ the square tensor that a bundle's models take, and back."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.scans.geometry import Geometry, Spacing

_COARSE, _FINE = 64, 128
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def prepare(frame: np.ndarray, resolution: int, channels: int, spacing: Spacing = None) -> Tensor:
    """Resample to square pixels with Lanczos, and pad to a square with black.

    A frame of square pixels that already has the bundle's size is taken as it is, so that pixels that were written are
    read back.

    Parameters
    ----------
    frame : ndarray
        (H, W) grey or (H, W, 3) colour, in [0, 1].
    resolution, channels : int
        What the bundle takes; colour is turned grey with the BT.601 luma weights, grey is repeated for 3 channels.
    spacing : tuple of float, optional
        Millimetres between slices, rows and columns, as `Scan.spacing`; square pixels where unknown.

    Returns
    -------
    Tensor
        (1, channels, resolution, resolution) float32 in [0, 1].
    """
    geometry = Geometry.of(frame.shape, spacing)
    planes = [_squared(plane, resolution, geometry) for plane in _planes(np.asarray(frame, dtype=np.float32), channels)]
    return torch.from_numpy(np.stack(planes)).clamp(0, 1).unsqueeze(0)


def to_native(image: np.ndarray, shape: tuple[int, ...], spacing: Spacing = None) -> np.ndarray:
    """A map at a bundle's resolution → the scan's own: what `prepare` did, the other way round, bicubically.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of any square size, any unit.
    shape : tuple of int
        (H, W, …) of the frame that was prepared.
    spacing : tuple of float, optional
        That it was prepared with.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    geometry = Geometry.of(shape, spacing)
    # A map of patches has too few rows to be cut at whole ones: its frame lies where it does in _FINE rows.
    side = len(image) if len(image) >= _COARSE else _FINE
    rows, columns = geometry.placed(side)
    edges = (columns.start, rows.start, columns.stop, rows.stop)
    left, top, right, bottom = (edge * len(image) / side for edge in edges)
    whole = Image.fromarray(np.asarray(image, dtype=np.float32))
    height, width = shape[:2]
    return np.asarray(whole.resize((width, height), Image.Resampling.BICUBIC, (left, top, right, bottom)))


def _planes(frame: np.ndarray, channels: int) -> list[np.ndarray]:
    if frame.ndim == 2:
        return [frame] * channels
    return [frame @ LUMA] if channels == 1 else [frame[..., index] for index in range(3)]


def _squared(plane: np.ndarray, resolution: int, geometry: Geometry) -> np.ndarray:
    rows, columns = geometry.placed(resolution)
    square = np.zeros((resolution, resolution), dtype=np.float32)
    place = square[rows, columns]
    if place.shape != plane.shape:
        whole = Image.fromarray(np.ascontiguousarray(plane))
        plane = np.asarray(whole.resize(place.shape[::-1], Image.Resampling.LANCZOS))
    place[:] = plane
    return square
