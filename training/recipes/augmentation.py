"""How training pictures are varied: (B, C, H, W) in [0, 1] in and out, drawn from an explicit generator."""

import torch
from torch import Tensor
from torch.nn import functional


def augmented(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return pixels after flips, rotation by up to 15°, and jitter of gamma and gain."""
    angle = _uniform(pixels, 1, -15, 15, generator)
    mirror = torch.where(_uniform(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)
    turned = _turned(pixels, angle, mirror, "zeros")
    gamma, gain = _uniform(pixels, 1, 0.7, 1.4, generator), _uniform(pixels, 1, 0.85, 1.15, generator)
    return (gain * turned.clamp_min(1e-6) ** gamma).clamp(0, 1)


def augmented_cells(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return cells flipped, turned by any angle (a cell has no upper side), with mild jitter of gamma and colours.

    Half of them take quarter turns only, which keep every pixel: interpolation blurs granules, and a network that had
    seen nothing but blurred cells took a sharp granulocyte for a basophil.
    """
    angle, whole = _uniform(pixels, 1, -180, 180, generator), _uniform(pixels, 1, 0, 1, generator) < 0.5
    mirror = torch.where(_uniform(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)
    turned = _turned(pixels, torch.where(whole, (angle / 90).round() * 90, angle), mirror, "reflection")
    gamma = _uniform(pixels, 1, 0.85, 1.18, generator)
    gain = _uniform(pixels, pixels.shape[1], 0.95, 1.05, generator)
    return (gain * turned.clamp_min(1e-6) ** gamma).clamp(0, 1)


def augmented_tiles(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return tissue, which has no upper side, after flips, turns, shifts by up to 16 pixels and jitter of its stains.

    Half of them take quarter turns and whole pixels only, as cells do; the others any angle, and a zoom by up to 1.25.
    The stains jitter in optical density (Ruifrok & Johnston 2001), where their amounts add up: a power a colour.
    """
    angle, whole = _uniform(pixels, 1, -180, 180, generator), _uniform(pixels, 1, 0, 1, generator) < 0.5
    mirror = torch.where(_uniform(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)
    zoom = _uniform(pixels, 1, -1, 1, generator)
    zoom = torch.where(whole, 1.0, 1.25**zoom)
    shift = _uniform(pixels, 2, -16, 16, generator).round().flatten(1) * 2 / pixels.shape[-1]
    turned = _turned(pixels, torch.where(whole, (angle / 90).round() * 90, angle), mirror, "reflection", zoom, shift)
    density = _uniform(pixels, 1, 0.75, 1.33, generator) * _uniform(pixels, pixels.shape[1], 0.85, 1.18, generator)
    return turned.clamp_min(1e-6) ** density


AUGMENTATIONS = {"brain-mri": augmented, "blood-cells": augmented_cells, "lung-histology": augmented_tiles}


def _uniform(pixels: Tensor, channels: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return (B, channels, 1, 1) numbers for B images, on their device."""
    drawn = torch.rand(len(pixels) * channels, generator=generator) * (high - low) + low
    return drawn.view(len(pixels), channels, 1, 1).to(pixels.device)


@torch.autocast("cpu", enabled=False)
@torch.autocast("cuda", enabled=False)  # a sampling grid in bfloat16 would be an eighth of a pixel off
def _turned(
    pixels: Tensor,
    degrees: Tensor,
    mirror: Tensor,
    padding: str,
    zoom: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """Return each image turned by its angle, and mirrored where `mirror` is -1; what lies outside is as `padding` says.

    `zoom` makes (B, 1, 1, 1) times larger, and `shift` (B, 2) moves by so many half sides.
    """
    angle, mirror = degrees.flatten().deg2rad(), mirror.flatten()
    rows = torch.stack([mirror * angle.cos(), -angle.sin(), mirror * angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    if zoom is not None:
        rows = rows / zoom.view(-1, 1, 1)
    where = torch.zeros_like(rows[:, 0]) if shift is None else shift
    grid = functional.affine_grid(torch.cat([rows, where.unsqueeze(-1)], 2), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode=padding, align_corners=False).clamp(0, 1)
