"""Outlines that a visitor draws, where a scan brings none along."""

import numpy as np
from scipy import ndimage


def circle(resolution: int, across: float, down: float, radius: float) -> np.ndarray:
    """The pixels whose centres lie in a circle.

    Parameters
    ----------
    resolution : int
        Side of the square image in pixels, R.
    across, down : float
        Its centre from the left and from the top, in shares of the side, in [0, 1].
    radius : float
        In shares of the side.

    Returns
    -------
    ndarray
        (R, R) bool; at least the pixel that the centre lies in.

    Raises
    ------
    ValueError
        The centre lies outside the image, or the radius is not above 0; one sentence.
    """
    if not (0 <= across <= 1 and 0 <= down <= 1):
        raise ValueError(f"The centre must lie within the image, so in [0, 1], not at ({across:g}, {down:g}).")
    if radius <= 0:
        raise ValueError(f"The radius must be above 0, not {radius:g}.")
    rows, columns = (np.indices((resolution, resolution)) + 0.5) / resolution
    inside = (rows - down) ** 2 + (columns - across) ** 2 <= radius**2
    inside[min(int(down * resolution), resolution - 1), min(int(across * resolution), resolution - 1)] = True
    return inside


def ringed(pixels: np.ndarray, values: np.ndarray, outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A scan and the map over it with the outline in white: the ring of pixels around it has no map.

    pixels (C, H, W) in [0, 1]; values (H, W); outline (H, W) bool. Returns copies of the first two.
    """
    ring = ndimage.binary_dilation(outline) & ~outline
    return np.where(ring, np.float32(1), pixels), np.where(ring, np.float32(0), values)
