"""Artefacts of MRI scanners, made by torchio (Pérez-García et al. 2021) with parameters of our own drawing.

Only torchio's deterministic transforms are used, and by their `apply_transform`: calling one draws from the global
random state. torchio knows volumes, so a slice goes in as a (C, 1, H, W) volume of one sagittal plane. Its last axis is
the phase axis of torchio's motion; half of the images are turned beforehand, as scanners take either axis for it.

torchio returns the real part of the reconstruction. Its absolute value is kept, as scanners show magnitudes: without
it a ghost over the black background, which is negative, would vanish.

torchio is imported where it is needed: an examination has no use for it, and shouldn't wait for it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchio import Transform

BIAS_ORDER = 3
SPIKES = 2


def motion(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """The head turns and shifts in the plane of the slice while k-space is filled (Shaw et al. 2019).

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    strength : float
        Largest rotation from the rest position in degrees, and largest shift along each axis in 1/128 of the side,
        before and after the rest; both are at least half of it.
    generator : torch.Generator
        Source of the movements, on the CPU; each image has its own.

    Returns
    -------
    Tensor
        (B, C, H, W) in [0, 1].
    """

    def move(volume: Tensor) -> Tensor:
        from torchio import Motion

        turns, shifts = np.zeros((2, 3)), np.zeros((2, 3))
        turns[:, 0] = strength * _away_from_zero((2,), generator)
        shifts[:, 1:] = strength * min(volume.shape[2:]) / 128 * _away_from_zero((2, 2), generator)
        # The head rests for a tenth to a quarter of the time around the centre of k-space.
        rest = 0.05 + 0.075 * torch.rand(2, generator=generator).numpy()
        times = np.array([0.5 - rest[0], 0.5 + rest[1]])
        return through_torchio(Motion(turns, shifts, times, "linear"), volume)

    return _each(pixels, move, generator)


def ghosting(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """One or three ghosts of the slice along the phase axis: every second or fourth line of k-space is too weak.

    Parameters as for `motion`, but `strength` is the share of such a line that is lost, from 0 to 1.
    """

    def haunt(volume: Tensor) -> Tensor:
        from torchio import Ghosting

        lines = 2 * int(torch.randint(1, 3, (1,), generator=generator))
        return through_torchio(Ghosting(lines, axis=2, intensity=strength, restore=None), volume)

    return _each(pixels, haunt, generator)


def bias_field(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Smooth shading from an uneven coil: the exponential of a cubic polynomial of the place (Van Leemput et al. 1999).

    Parameters as for `motion`, but `strength` is the root of the sum of the squares of the polynomial's coefficients,
    for coordinates from -1 to 1. It has no constant, so that the middle of the slice keeps its brightness.
    """

    def shade(volume: Tensor) -> Tensor:
        from torchio import BiasField

        in_plane = _in_plane_terms(BIAS_ORDER)
        drawn = torch.randn(int(in_plane.sum()), generator=generator).numpy()
        coefficients = np.zeros(len(in_plane))
        coefficients[in_plane] = strength * drawn / np.linalg.norm(drawn)
        return through_torchio(BiasField(coefficients.tolist(), BIAS_ORDER), volume)

    return _each(pixels, shade, generator)


def spikes(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Stripes over the whole slice (herringbone): two points of k-space are too bright.

    Parameters as for `motion`, but `strength` is the brightness of the points in that of the brightest, from 0 to 1;
    each of the two patterns of stripes then has an amplitude of `strength` times the mean pixel of the slice.
    """

    def strike(volume: Tensor) -> Tensor:
        from torchio import Spike

        # Far enough from the centre of k-space to give stripes rather than shading, and not beyond its edges.
        angles = 2 * np.pi * torch.rand(SPIKES, generator=generator).numpy()
        distances = 0.1 + 0.3 * torch.rand(SPIKES, generator=generator).numpy()
        places = 0.5 + np.stack([0 * angles, distances * np.sin(angles), distances * np.cos(angles)], axis=1)
        return through_torchio(Spike(places, strength), volume)

    return _each(pixels, strike, generator)


def _each(pixels: Tensor, change: Callable[[Tensor], Tensor], generator: torch.Generator) -> Tensor:
    """Change (C, 1, H, W) volumes one by one, turned or not as the generator says; batch neighbours don't meet."""
    changed = []
    for image in pixels.detach().float().cpu():
        turned = bool(torch.randint(2, (1,), generator=generator))
        image = change(_turned(image, turned).unsqueeze(1)).squeeze(1)
        changed.append(_turned(image, turned))
    return torch.stack(changed).abs().clamp(0, 1).to(pixels)


def _turned(image: Tensor, turned: bool) -> Tensor:
    return image.mT if turned else image


def through_torchio(transform: "Transform", volume: Tensor) -> Tensor:
    """(C, 1, H, W) → what one of torchio's deterministic transforms makes of it, without the global random state."""
    from torchio import ScalarImage, Subject

    # torchio's motion turns the world about its origin, hence the slice is put there with its middle.
    affine = np.eye(4)
    affine[:3, 3] = [(1 - size) / 2 for size in volume.shape[1:]]
    subject = Subject(slice=ScalarImage(tensor=volume.contiguous(), affine=affine))
    return transform.apply_transform(subject).get_first_image().data.float()


def _away_from_zero(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
    """Numbers of either sign with a size from .5 to 1, so that a strong artefact is never drawn weak by chance."""
    sign = 2 * torch.randint(2, shape, generator=generator) - 1
    return (sign * (0.5 + 0.5 * torch.rand(shape, generator=generator))).numpy()


def _in_plane_terms(order: int) -> np.ndarray:
    """Which of torchio's polynomial coefficients, in its order, change over the plane: no constant, no first axis."""
    exponents = [
        (first, second, third)
        for first in range(order + 1)
        for second in range(order + 1 - first)
        for third in range(order + 1 - first - second)
    ]
    return np.array([first == 0 and second + third > 0 for first, second, third in exponents])
