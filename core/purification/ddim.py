"""Diffusion purification (Nie et al. 2022): noise the scan to t*, then denoise it in a few DDIM steps."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.models.diffusion import Diffusion
from core.purification.steps import PurifierStep

PURIFY_STEPS = 1  # one step is as good as twenty, and purification then costs one call of the U-Net


def purify_steps(
    pixels: Tensor, t_star: int, steps: int, diffusion: Diffusion, noise: Tensor
) -> Iterator[PurifierStep]:
    """Forward to `t_star`, then back in `steps` evenly spaced DDIM steps (η = 0, eq. 12 of Song et al. 2021).

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    t_star : int
        In [1, 999]; the more, the more is washed out, and the more is made up.
    steps : int
        At least 1, at most `t_star`; one U-Net call each.
    noise : Tensor
        Standard normal, shaped like `pixels`.

    Yields
    ------
    PurifierStep
        The last one's `estimate` is the purified scan.
    """
    if not 1 <= t_star <= 999:
        raise ValueError(f"t* must be between 1 and 999, not {t_star}.")
    if not 1 <= steps <= t_star:
        raise ValueError(f"The number of steps must be between 1 and t* = {t_star}, not {steps}.")
    times = torch.linspace(t_star, 0, steps + 1).round().int().tolist()
    t = torch.full((len(pixels),), t_star, device=pixels.device)
    noisy = diffusion.diffuse(pixels, t, noise)
    predict = partial(_recomputed, diffusion) if steps > 1 else diffusion.predict_noise
    for index, (now, after) in enumerate(zip(times, times[1:])):
        predicted = predict(noisy, torch.full_like(t, now))
        estimate = diffusion.estimate(noisy, torch.full_like(t, now), predicted)
        yield PurifierStep(index, now, noisy, estimate)
        noisy = diffusion.diffuse(estimate, torch.full_like(t, after), predicted)


def purify(pixels: Tensor, t_star: Tensor, steps: int, diffusion: Diffusion, noise: Tensor) -> Tensor:
    """The last estimate of `purify_steps` for a t* (B,) of each image's own; (B, C, H, W) in [0, 1], differentiable."""
    estimate = torch.empty_like(pixels)
    for t in t_star.unique().tolist():
        chosen = t_star == t
        for step in purify_steps(pixels[chosen], t, steps, diffusion, noise[chosen]):
            last = step.estimate
        estimate = estimate.index_put((chosen,), last)
    return estimate


def _recomputed(diffusion: Diffusion, noisy: Tensor, t: Tensor) -> Tensor:
    """The same prediction; its activations are made again on the way back, as those of many steps fill the memory."""
    if not (torch.is_grad_enabled() and noisy.requires_grad):
        return diffusion.predict_noise(noisy, t)
    return checkpoint(diffusion.predict_noise, noisy, t, use_reentrant=False)
