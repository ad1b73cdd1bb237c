"""How training pictures are varied: (B, C, H, W) in [0, 1] in and out, drawn from an explicit generator."""

import torch
from torch import Tensor
from torch.nn import functional


def augmented_scans(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return MR scans as another scanner, another coil or another position would have shown them.

    Turned by up to 20°, scaled by up to 15 %, shifted by up to 8 % and flipped; a smooth bias field, contrast about the
    mean of the head, gamma, gain, a quarter of them at a lower resolution, and noise.
    """
    shift = uniform_numbers(pixels, 2, -1, 1, generator).flatten(1) * 0.16  # half sides
    angle, mirror = uniform_numbers(pixels, 1, -20, 20, generator), mirror_signs(pixels, generator)
    x = warped(pixels, angle, mirror, "zeros", 1 + uniform_numbers(pixels, 1, -0.15, 0.15, generator), shift)
    x = _contrast(_biased(x, generator), generator)
    x = x.clamp(1e-6, 1) ** uniform_numbers(x, 1, -0.6, 0.6, generator).exp()
    x = x * uniform_numbers(x, 1, 0.6, 1.4, generator)
    soft = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    x = torch.where(uniform_numbers(x, 1, 0, 1, generator) < 0.25, soft, x)
    noise = torch.randn(x.shape, generator=generator).to(x.device) * uniform_numbers(x, 1, 0, 0.03, generator)
    return (x + noise).clamp(0, 1)


def faithful_scans(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return MR scans for what learns how scans look: no noise and no blur; flips, gamma and gain.

    Half of them are shifted by whole pixels alone, which keeps every pixel; the others are turned by up to 15° and
    scaled by up to 12 %, which interpolates.
    """
    side, whole = pixels.shape[-1], uniform_numbers(pixels, 1, 0, 1, generator) < 0.5
    angle = torch.where(whole, 0.0, uniform_numbers(pixels, 1, -15, 15, generator))
    zoom = torch.where(whole, 1.0, 1 + uniform_numbers(pixels, 1, -0.12, 0.12, generator))
    shift = uniform_numbers(pixels, 2, -1, 1, generator).flatten(1).mul(0.05 * side).round() * 2 / side
    turned = warped(pixels, angle, mirror_signs(pixels, generator), "zeros", zoom, shift)
    gamma, gain = uniform_numbers(pixels, 1, 0.7, 1.4, generator), uniform_numbers(pixels, 1, 0.85, 1.15, generator)
    return (gain * turned.clamp_min(1e-6) ** gamma).clamp(0, 1)


def augmented_cells(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return cells flipped, turned by any angle (a cell has no upper side), with mild jitter of gamma and colours.

    Half of them take quarter turns only, which keep every pixel: interpolation blurs granules, and a network that had
    seen nothing but blurred cells took a sharp granulocyte for a basophil.
    """
    angle, whole = uniform_numbers(pixels, 1, -180, 180, generator), uniform_numbers(pixels, 1, 0, 1, generator) < 0.5
    mirror = mirror_signs(pixels, generator)
    turned = warped(pixels, torch.where(whole, (angle / 90).round() * 90, angle), mirror, "reflection")
    gamma = uniform_numbers(pixels, 1, 0.85, 1.18, generator)
    gain = uniform_numbers(pixels, pixels.shape[1], 0.95, 1.05, generator)
    return (gain * turned.clamp_min(1e-6) ** gamma).clamp(0, 1)


def augmented_tiles(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return tissue, which has no upper side, after flips, turns, shifts by up to 16 pixels and jitter of its stains.

    Half of them take quarter turns and whole pixels only, as cells do; the others any angle, and a zoom by up to 1.25.
    The stains jitter in optical density (Ruifrok & Johnston 2001), where their amounts add up: a power a colour.
    """
    angle, whole = uniform_numbers(pixels, 1, -180, 180, generator), uniform_numbers(pixels, 1, 0, 1, generator) < 0.5
    mirror = mirror_signs(pixels, generator)
    zoom = uniform_numbers(pixels, 1, -1, 1, generator)
    zoom = torch.where(whole, 1.0, 1.25**zoom)
    shift = uniform_numbers(pixels, 2, -16, 16, generator).round().flatten(1) * 2 / pixels.shape[-1]
    turned = warped(pixels, torch.where(whole, (angle / 90).round() * 90, angle), mirror, "reflection", zoom, shift)
    density = uniform_numbers(pixels, 1, 0.75, 1.33, generator) * uniform_numbers(
        pixels, pixels.shape[1], 0.85, 1.18, generator
    )
    return turned.clamp_min(1e-6) ** density


def augmented_chests(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return chest X-rays as another position, another dose or another reader's window would have shown them.

    All are shifted by up to 2 pixels. Half of them stay otherwise in place, as interpolation blurs most of what 28 × 28
    pixels show; the others are turned by up to 10° and scaled by up to 10 %. None is mirrored: a heart lies left.
    """
    whole = uniform_numbers(pixels, 1, 0, 1, generator) < 0.5
    angle = torch.where(whole, 0.0, uniform_numbers(pixels, 1, -10, 10, generator))
    zoom = torch.where(whole, 1.0, 1 + uniform_numbers(pixels, 1, -0.1, 0.1, generator))
    shift = uniform_numbers(pixels, 2, -2, 2, generator).round().flatten(1) * 2 / pixels.shape[-1]
    moved = warped(pixels, angle, torch.ones_like(angle), "border", zoom, shift)
    gamma, gain = uniform_numbers(pixels, 1, 0.75, 1.33, generator), uniform_numbers(pixels, 1, 0.9, 1.1, generator)
    return (gain * moved.clamp_min(1e-6) ** gamma).clamp(0, 1)


AUGMENTATIONS = {
    "brain-mri": augmented_scans,
    "blood-cells": augmented_cells,
    "lung-histology": augmented_tiles,
    "chest-xray": augmented_chests,
}
FAITHFUL = AUGMENTATIONS | {"brain-mri": faithful_scans}


def _biased(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return scans under a coil's uneven field: 4 × 4 random numbers, magnified smoothly; up to about ±25 %."""
    coarse = torch.randn((len(pixels), 1, 4, 4), generator=generator).to(pixels.device)
    field = functional.interpolate(coarse, pixels.shape[-2:], mode="bicubic", align_corners=True)
    return pixels * (field * uniform_numbers(pixels, 1, 0, 0.12, generator)).exp()


def _contrast(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return scans with more or less contrast about the mean of what is not background, which stays black."""
    inside = pixels > 0.05
    mean = (pixels * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(inside, mean + (pixels - mean) * uniform_numbers(pixels, 1, 0.75, 1.25, generator), pixels)


def mirror_signs(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return (B, 1, 1, 1), -1 for half of the images and 1 for the others."""
    return torch.where(uniform_numbers(pixels, 1, 0, 1, generator) < 0.5, -1.0, 1.0)


def uniform_numbers(pixels: Tensor, channels: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return (B, channels, 1, 1) numbers for B images, on their device."""
    drawn = torch.rand(len(pixels) * channels, generator=generator) * (high - low) + low
    return drawn.view(len(pixels), channels, 1, 1).to(pixels.device)


@torch.autocast("cpu", enabled=False)
@torch.autocast("cuda", enabled=False)  # a sampling grid in bfloat16 would be an eighth of a pixel off
def warped(
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
