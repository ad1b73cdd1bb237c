"""Scans that are told apart by their brightness alone, and classifiers that do, one of which hides its slope."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from core.bundles import Bundle
from core.evaluation.datasets import Dataset
from tests.defended import NAME, SIDE, defended_bundle

NEAR = 0.02  # of the border at ½: 8/255 is more than that, 4/255 less
LEVELS = 32


class Brightness(nn.Module):
    """The brighter half is class 1."""

    def __init__(self, steepness: float = 50.0):
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(steepness))

    def forward(self, pixels: Tensor) -> Tensor:
        above = self.steepness * (pixels.flatten(1).mean(1) - 0.5)
        return torch.stack([-above, above], dim=1)


class RoundedBrightness(Brightness):
    """The same of pixels that are rounded first: gradients are 0 everywhere, and nothing is any safer."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward((pixels * LEVELS).round() / LEVELS)


def graded_bundle(classifier: nn.Module | None = None) -> Bundle:
    """The small defence, which flags nothing, around such a classifier."""
    network = (classifier or Brightness()).eval().requires_grad_(False)
    return replace(defended_bundle(), classifiers={NAME: network})


def graded_scans(count: int) -> Dataset:
    """Noise around ½ ± `NEAR`, by turns; each in a group of its own, at two sites."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    pixels = 0.5 + NEAR * (2 * labels - 1)[:, None, None] + random.uniform(-0.3, 0.3, (count, SIDE, SIDE))
    pixels += (0.5 + NEAR * (2 * labels - 1) - pixels.mean((1, 2)))[:, None, None]
    return Dataset(
        pixels=torch.tensor(pixels, dtype=torch.float32)[:, None],
        labels=torch.tensor(labels),
        groups=tuple(map(str, range(count))),
        splits=("val",) * count,
        sha256="5" * 64,
        sites=tuple(("north", "south")[place // 2 % 2] for place in range(count)),
        collections=("graded",) * count,
    )
