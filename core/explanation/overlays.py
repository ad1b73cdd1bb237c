"""Scans and maps → PNG bytes for the screen: spacing-correct, at the scan's own resolution where a screen can show it.

A map is drawn over its scan as a picture, with colour maps that stay apart for every kind of colour vision and whose
lightness rises (or, for signed maps, rises on both sides of black) with the value.
"""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image

from core.scans.geometry import Geometry, Spacing
from core.scans.preparation import to_native

SEQUENTIAL = "plasma"
DIVERGING = "berlin"  # black in the middle: what didn't change stays as dark as the background of a scan
LEAST_SIDE = 640
THUMBNAIL_SIDE = 256
# A scan may have 64 megapixels; coloured in full, they would take gigabytes. Streamlit shrinks what is wider than 1460.
MOST_SIDE = 1440
_LEGEND_SHAPE = (10, 512)


def scan_png(frame: np.ndarray, spacing: Spacing = None) -> bytes:
    """A frame, (H, W) or (H, W, 3) in [0, 1], as PNG."""
    return _encoded(_bytes(_shrunk(frame)), spacing)


def model_png(pixels: np.ndarray, shape: tuple[int, ...], spacing: Spacing = None) -> bytes:
    """(C, H, W) in [0, 1] at a bundle's resolution → PNG with the outline of the frame of `shape` it was made from."""
    return scan_png(at_native(pixels, shape, spacing), spacing)


def at_native(pixels: np.ndarray, shape: tuple[int, ...], spacing: Spacing = None) -> np.ndarray:
    """(C, H, W) at a bundle's resolution → (H, W), or (H, W, 3), with the outline of the frame of `shape`."""
    planes = [to_native(plane, _shown(shape), spacing) for plane in pixels]
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def thumbnail_png(pixels: np.ndarray, shape: tuple[int, ...], spacing: Spacing = None) -> bytes:
    """`model_png` in small, for a strip of many: its longest side is 256 pixels."""
    picture = Image.fromarray(_bytes(at_native(pixels, shape, spacing)))
    width, height = _size(picture.size, spacing)
    scale = THUMBNAIL_SIDE / max(width, height)
    return _png(picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC))


def overlay_png(frame: np.ndarray, values: np.ndarray, limit: float, opacity: float, spacing: Spacing = None) -> bytes:
    """A map over its frame.

    Parameters
    ----------
    frame : ndarray
        (H, W) or (H, W, 3) in [0, 1].
    values : ndarray
        (rows, columns) of any square size, as the models give it; not negative.
    limit : float
        The value that the colour map ends at.
    opacity : float
        In [0, 1], at `limit`; below it goes with the square root of the value, so that 0 hides nothing.
    """
    frame = _shrunk(frame)
    strength = np.clip(to_native(values, frame.shape, spacing) / limit, 0, 1)
    colours = matplotlib.colormaps[SEQUENTIAL](strength)[..., :3]
    grey = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=-1)
    alpha = (opacity * np.sqrt(strength))[..., None]
    return _encoded(_bytes(grey * (1 - alpha) + colours * alpha), spacing)


def strength_png(values: np.ndarray, limit: float, shape: tuple[int, ...], spacing: Spacing = None) -> bytes:
    """A map (rows, columns) of any square size, not negative, for a frame of `shape`: grey, and white at `limit`."""
    return _png(Image.fromarray(_bytes(to_native(values, _shown(shape), spacing) / limit)))


def residual_png(
    before: np.ndarray, after: np.ndarray, limit: float, shape: tuple[int, ...], spacing: Spacing = None
) -> bytes:
    """`after` − `before`, both (C, H, W) in [0, 1], mean over channels; the colours end at ±`limit`."""
    signed = to_native((after - before).mean(0), _shown(shape), spacing)
    colours = matplotlib.colormaps[DIVERGING](np.clip(signed / limit, -1, 1) / 2 + 0.5)[..., :3]
    return _encoded(_bytes(colours), spacing)


def visible_gain(before: np.ndarray, after: np.ndarray, gains: Sequence[int]) -> int:
    """The largest of rising `gains` by which 97 % of the changes between two images stay within ±0.5, else the least.

    Both (C, H, W) in [0, 1]; the change is the mean over channels, as in `residual_png`, which 0.5 / gain limits.
    """
    high = float(np.percentile(np.abs((after - before).mean(0)), 97))
    return max((gain for gain in gains if gain * high <= 0.5), default=gains[0])


def legend_png(signed: bool = False) -> bytes:
    """The colour map from left to right: of `overlay_png`, or of `residual_png` where `signed`."""
    ramp = np.linspace(0, 1, _LEGEND_SHAPE[1])
    colours = matplotlib.colormaps[DIVERGING if signed else SEQUENTIAL](ramp)[None, :, :3]
    return _png(Image.fromarray(np.repeat(_bytes(colours), _LEGEND_SHAPE[0], axis=0)))


def colours(signed: bool = False) -> list[list[int]]:
    """The same in 256 steps, [red, green, blue] each."""
    ramp = matplotlib.colormaps[DIVERGING if signed else SEQUENTIAL](np.linspace(0, 1, 256))
    return _bytes(ramp[:, :3]).tolist()


def bytes_png(data: bytes) -> bytes:
    """Bytes as grey levels, row by row, in a picture that is about half as wide again as it is high."""
    width = max(1, round((1.5 * len(data)) ** 0.5))
    levels = np.frombuffer(data.ljust(-(-len(data) // width) * width, b"\0"), np.uint8)
    return _png(Image.fromarray(levels.reshape(-1, width)))


def map_limit(values: np.ndarray) -> float:
    """A round number that 99.5 % of a map's values stay below, for its legend."""
    high = max(float(np.percentile(values, 99.5)), 1e-6)
    power = 10.0 ** np.floor(np.log10(high))
    return float(next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if high <= step * power))


def mean_change(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute difference of two images of one shape, pixel units."""
    return float(np.abs(after - before).mean())


def _shown(shape: tuple[int, ...]) -> tuple[int, int]:
    """(H, W) that a frame of `shape` is drawn at before its spacing is seen to."""
    scale = min(1.0, MOST_SIDE / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _shrunk(frame: np.ndarray) -> np.ndarray:
    height, width = _shown(frame.shape)
    if (height, width) == frame.shape[:2]:
        return frame
    planes = [frame] if frame.ndim == 2 else [frame[..., index] for index in range(frame.shape[2])]
    pictures = (Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32)) for plane in planes)
    small = [np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC)) for picture in pictures]
    return small[0] if frame.ndim == 2 else np.stack(small, axis=-1)


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _encoded(image: np.ndarray, spacing: Spacing) -> bytes:
    picture = Image.fromarray(image)
    return _png(picture.resize(_size(picture.size, spacing), Image.Resampling.BICUBIC))


def _size(size: tuple[int, int], spacing: Spacing) -> tuple[int, int]:
    """(width, height) on screen of a picture of `size`: as in the body, and as the models take it."""
    width, height = size
    return Geometry.of((height, width), spacing).drawn(LEAST_SIDE, MOST_SIDE)


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
