"""Which way a brain MR slice was cut and how it is weighted, told from its pixels alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.resnet import PIXEL_MEAN, PIXEL_STD

PLANES = ("axial", "coronal", "sagittal")
SEQUENCES = ("FLAIR", "T1", "T1 with contrast", "T2")
_WIDTHS = (16, 32, 48, 64, 64)
_STRIDES = (2, 2, 1, 2, 1)


class AcquisitionNetwork(nn.Module):
    """Five convolutions with two heads, 85,000 parameters; it looks at half the resolution.

    It has seen heads with the vertex up in coronal and sagittal slices and the face up in axial ones. It names the
    likeliest of `PLANES` and of `SEQUENCES` for any picture, be it no head at all.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip((1, *_WIDTHS), _WIDTHS, _STRIDES):
            size = 5 if inputs == 1 else 3
            layers += [
                nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.plane = nn.Linear(2 * _WIDTHS[-1], len(PLANES))
        self.sequence = nn.Linear(2 * _WIDTHS[-1], len(SEQUENCES))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) pixels in [0, 1] → (B, 3) and (B, 4) logits, in the order of `PLANES` and of `SEQUENCES`."""
        maps = self.layers((functional.avg_pool2d(pixels, 2) - PIXEL_MEAN) / PIXEL_STD)
        features = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        return self.plane(features), self.sequence(features)
