"""Benign changes as controls: what scanners, cameras and viewers do to a scan.

Severities 1 to 5, as in Hendrycks & Dietterich 2019; the strengths are ours.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad
from torchvision.io import decode_jpeg, encode_jpeg
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
    "shot-noise": (1e-4, 4e-4, 1e-3, 2e-3, 5e-3),  # variance of a white pixel, pixel units
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),  # largest share of light added or lost
    "stain": (0.05, 0.1, 0.2, 0.3, 0.4),  # largest share of each colour's optical density added or lost
    "jpeg": (90, 75, 50, 30, 15),  # quality
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


def _shot_noise(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Light arrives in grains: the brighter a pixel, the larger the spread of what is counted there."""
    noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
    return pixels + (strength * pixels).sqrt() * noise


def _brightness(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    return pixels * (1 + strength * _away_from_zero(len(pixels), 1, generator).to(pixels))


def _stain(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Optical densities are where amounts of stain add up (Ruifrok and Johnston 2001): a power a colour."""
    shares = strength * _away_from_zero(len(pixels), pixels.shape[1], generator).to(pixels)
    return pixels.clamp_min(1e-6) ** (1 + shares)


def _jpeg(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    images = (pixels * 255).round().byte().cpu()
    return torch.stack([decode_jpeg(encode_jpeg(image, int(strength))) for image in images]).to(pixels) / 255


def _away_from_zero(count: int, channels: int, generator: torch.Generator) -> Tensor:
    """(count, channels, 1, 1) numbers of either sign, half to the whole of 1 in size."""
    drawn = torch.rand((count, channels, 1, 1, 2), generator=generator)
    return (0.5 + 0.5 * drawn[..., 0]) * torch.where(drawn[..., 1] < 0.5, -1.0, 1.0)


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
    "shot-noise": _shot_noise,
    "brightness": _brightness,
    "stain": _stain,
    "jpeg": _jpeg,
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
