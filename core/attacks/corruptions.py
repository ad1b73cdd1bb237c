"""Benign changes as controls: what scanners and viewers do to a scan.

Severities 1 to 5, as in Hendrycks & Dietterich 2019; the strengths are ours.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import gaussian_blur, rotate

from core.attacks import artefacts
from core.attacks.gradient import AttackStep

SEVERITIES = {
    "gaussian-noise": (0.01, 0.02, 0.03, 0.05, 0.08),  # standard deviation, pixel units
    "gaussian-blur": (0.5, 0.75, 1.0, 1.5, 2.0),  # standard deviation, pixels
    "gamma": (0.9, 0.8, 0.7, 0.6, 0.5),  # exponent
    "rotation": (2.0, 5.0, 8.0, 12.0, 15.0),  # degrees
    "defocus-blur": (0.6, 1.0, 1.5, 2.5, 3.5),  # radius, pixels
    "patchdrop": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the patches that turn black
    "motion": (0.5, 1.0, 2.0, 4.0, 8.0),  # largest turn in degrees and shift in 1/128 of the side
    "ghosting": (0.15, 0.3, 0.5, 0.7, 0.9),  # share lost of every second or fourth line of k-space
    "bias-field": (0.25, 0.5, 0.8, 1.2, 1.8),  # norm of the coefficients of the field's logarithm
    "spikes": (0.05, 0.1, 0.2, 0.35, 0.6),  # amplitude of the stripes, mean pixels of the scan
}
PATCHES = 16  # a side: 8 pixels of 128


def _noise(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return pixels + strength * torch.randn(pixels.shape, generator=generator).to(pixels.device)


def _blur(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return gaussian_blur(pixels, 2 * int(3 * strength + 0.5) + 1, strength)


def _gamma(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return pixels**strength


def _rotation(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return rotate(pixels, strength, interpolation=InterpolationMode.BILINEAR)


def _defocus(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    kernel = disk(strength).to(pixels)
    padded = pad(pixels, [len(kernel) // 2] * 4, mode="reflect")
    return conv2d(padded.flatten(0, 1).unsqueeze(1), kernel[None, None]).view_as(pixels)


def _patchdrop(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """PatchDrop (Naseer et al. 2021, section 3), at random places of each image."""
    count = PATCHES**2
    ranks = torch.stack([torch.randperm(count, generator=generator) for _ in pixels])
    kept = (ranks >= round(strength * count)).to(pixels).view(-1, 1, PATCHES, PATCHES)
    return pixels * interpolate(kept, size=pixels.shape[-2:], mode="nearest")


def disk(radius: float, samples: int = 16) -> Tensor:
    """The kernel of a defocused lens: each pixel's share of a disk of `radius` pixels, (K, K) with the sum 1."""
    reach = int(radius + 0.5)
    fine = (torch.arange((2 * reach + 1) * samples) + 0.5) / samples - reach - 0.5
    inside = (fine.square()[:, None] + fine.square() <= radius**2).float()
    area = inside.view(2 * reach + 1, samples, 2 * reach + 1, samples).sum((1, 3))
    return area / area.sum()


_CHANGES = {
    "gaussian-noise": _noise,
    "gaussian-blur": _blur,
    "gamma": _gamma,
    "rotation": _rotation,
    "defocus-blur": _defocus,
    "patchdrop": _patchdrop,
    "motion": artefacts.motion,
    "ghosting": artefacts.ghosting,
    "bias-field": artefacts.bias_field,
    "spikes": artefacts.spikes,
}


def corruption(name: str) -> Callable[..., Iterator[AttackStep]]:
    """The corruption called `name`, with the signature of an attack; it takes `severity` (1 to 5) and `generator`.

    It takes (B, C, H, W) pixels in [0, 1] and yields one step. What is random is drawn for each image on its own.
    ValueError where there is no such name or severity.
    """
    if name not in SEVERITIES:
        raise ValueError(f"There is no benign change named {name!r}; choose one of: {', '.join(SEVERITIES)}.")

    def steps(
        model: object,
        pixels: Tensor,
        labels: Tensor,
        *,
        severity: int = 1,
        generator: torch.Generator,
        **_: object,
    ) -> Iterator[AttackStep]:
        if severity not in range(1, 6):
            raise ValueError(f"The severity must be a whole number from 1 to 5, not {severity}.")
        changed = _CHANGES[name](pixels, SEVERITIES[name][severity - 1], generator)
        yield AttackStep(0, torch.zeros(len(pixels)), changed.clamp(0, 1))

    return steps
