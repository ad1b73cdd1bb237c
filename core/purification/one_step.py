"""One-step denoising, once or several times over: one U-Net call each."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from core.bundles import Bundle, diffusion_of
from core.purification.ddim import purify_steps
from core.purification.steps import PurifierStep


def one_step(
    pixels: Tensor, bundle: Bundle, *, t: int, generator: torch.Generator, **_: object
) -> Iterator[PurifierStep]:
    """Noise (B, C, H, W) pixels in [0, 1] to `t` and take the U-Net's estimate (Carlini et al. 2023, section 3)."""
    noise = shared_noise(pixels, generator)
    yield from purify_steps(pixels, t, 1, diffusion_of(bundle), noise)


def repeated(
    pixels: Tensor, bundle: Bundle, *, t: int, steps: int, generator: torch.Generator, **_: object
) -> Iterator[PurifierStep]:
    """The same `steps` times, each from the last estimate and with noise of its own."""
    for index in range(steps):
        (step,) = one_step(pixels, bundle, t=t, generator=generator)
        pixels = step.estimate
        yield replace(step, index=index)


def shared_noise(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """The next standard normal noise, the same for every image of the batch: none depends on its neighbours."""
    return torch.randn((1, *pixels.shape[1:]), generator=generator).to(pixels.device).expand(pixels.shape)
