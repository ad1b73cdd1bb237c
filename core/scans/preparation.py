"""A scan's frame ↔ the square tensor that a bundle's models take, and back."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def prepare(frame: np.ndarray, resolution: int, channels: int) -> Tensor:
    """Pad to a square with black, then resample with Lanczos.

    A frame that already has the bundle's size is taken as it is, so that pixels that were written are read back.

    Parameters
    ----------
    frame : ndarray
        (H, W) grey or (H, W, 3) colour, in [0, 1].
    resolution, channels : int
        What the bundle takes; colour is turned grey with the BT.601 luma weights, grey is repeated for 3 channels.

    Returns
    -------
    Tensor
        (1, channels, resolution, resolution) float32 in [0, 1].
    """
    planes = _planes(np.asarray(frame, dtype=np.float32), channels)
    planes = [plane if plane.shape == (resolution,) * 2 else _squared(plane, resolution) for plane in planes]
    return torch.from_numpy(np.stack(planes)).clamp(0, 1).unsqueeze(0)


def to_native(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A map at a bundle's resolution → the scan's own: resampled bicubically, with the padding of `prepare` cut off.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of any square size, any unit.
    shape : tuple of int
        (H, W, …) of the frame that was prepared.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    height, width = shape[:2]
    side = max(height, width)
    whole = Image.fromarray(np.asarray(image, dtype=np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    top, left = (side - height) // 2, (side - width) // 2
    return np.asarray(whole)[top : top + height, left : left + width]


def _planes(frame: np.ndarray, channels: int) -> list[np.ndarray]:
    if frame.ndim == 2:
        return [frame] * channels
    return [frame @ LUMA] if channels == 1 else [frame[..., index] for index in range(3)]


def _squared(plane: np.ndarray, resolution: int) -> np.ndarray:
    height, width = plane.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = plane
    return np.asarray(Image.fromarray(square).resize((resolution, resolution), Image.Resampling.LANCZOS))
