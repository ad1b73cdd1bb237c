"""Benign changes as controls: what scanners and viewers do to a scan.

Severities 1 to 5, as in Hendrycks & Dietterich 2019; the strengths are ours.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import gaussian_blur, rotate

from core.attacks.gradient import AttackStep

SEVERITIES = {
    "gaussian-noise": (0.01, 0.02, 0.03, 0.05, 0.08),  # standard deviation, pixel units
    "gaussian-blur": (0.5, 0.75, 1.0, 1.5, 2.0),  # standard deviation, pixels
    "gamma": (0.9, 0.8, 0.7, 0.6, 0.5),  # exponent
    "rotation": (2.0, 5.0, 8.0, 12.0, 15.0),  # degrees
}


def _noise(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return pixels + strength * torch.randn(pixels.shape, generator=generator).to(pixels.device)


def _blur(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return gaussian_blur(pixels, 2 * int(3 * strength + 0.5) + 1, strength)


def _gamma(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return pixels**strength


def _rotation(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return rotate(pixels, strength, interpolation=InterpolationMode.BILINEAR)


_CHANGES = {"gaussian-noise": _noise, "gaussian-blur": _blur, "gamma": _gamma, "rotation": _rotation}


def corruption(name: str) -> Callable[..., Iterator[AttackStep]]:
    """The corruption called `name`, with the signature of an attack; it takes `severity` (1 to 5) and `generator`."""

    def steps(
        model: object,
        pixels: Tensor,
        labels: Tensor,
        *,
        severity: int = 1,
        generator: torch.Generator,
        **_: object,
    ) -> Iterator[AttackStep]:
        if not 1 <= severity <= 5:
            raise ValueError(f"The severity must be between 1 and 5, not {severity}.")
        changed = _CHANGES[name](pixels, SEVERITIES[name][severity - 1], generator)
        yield AttackStep(0, torch.zeros(len(pixels)), changed.clamp(0, 1))

    return steps
