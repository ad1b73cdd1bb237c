"""What a cheap filter does to an attack: the baselines that a purifier has to beat."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from core.purification.steps import PurifierStep

MEDIAN_SIDE = 3
GAUSSIAN_SIGMA = 1.0
JPEG_QUALITY = 75


def median(pixels: Tensor, *_: object, **__: object) -> Iterator[PurifierStep]:
    """Median of 3 × 3 pixels, mirrored at the border. (B, C, H, W) in [0, 1]."""
    yield _filtered(pixels, lambda plane: ndimage.median_filter(plane, MEDIAN_SIDE))


def gaussian(pixels: Tensor, *_: object, **__: object) -> Iterator[PurifierStep]:
    """Gaussian blur of 1 pixel. (B, C, H, W) in [0, 1]."""
    yield _filtered(pixels, lambda plane: ndimage.gaussian_filter(plane, GAUSSIAN_SIGMA))


def jpeg(pixels: Tensor, *_: object, **__: object) -> Iterator[PurifierStep]:
    """JPEG at quality 75 and back, each channel on its own (Dziugaite et al. 2016). (B, C, H, W) in [0, 1]."""
    yield _filtered(pixels, _through_jpeg)


def none(pixels: Tensor, *_: object, **__: object) -> Iterator[PurifierStep]:
    """The scan as it is."""
    yield PurifierStep(0, None, None, pixels)


def _filtered(pixels: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> PurifierStep:
    planes = pixels.detach().cpu().numpy().reshape(-1, *pixels.shape[2:])
    changed = torch.from_numpy(np.stack([change(plane) for plane in planes])).view(pixels.shape)
    return PurifierStep(0, None, None, changed.clamp(0, 1).to(pixels.device))


def _through_jpeg(plane: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.rint(plane * 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(file), dtype=np.float32) / 255
