"""DiffPure (Nie et al. 2022): noise the scan to t*, then walk back, by DDPM's ancestral steps or by DDIM's."""

from collections.abc import Iterator

import torch
from torch import Tensor

from core.bundles import Bundle, diffusion_of
from core.purification.ddim import purify_steps
from core.purification.one_step import shared_noise
from core.purification.steps import PurifierStep


def ancestral(
    pixels: Tensor, bundle: Bundle, *, t: int, steps: int, generator: torch.Generator, **_: object
) -> Iterator[PurifierStep]:
    """Ancestral sampling from `t` back to the scan (algorithm 2 of Ho et al. 2020, started at t).

    With fewer steps than `t` it strides over evenly spaced times, with the posterior variance of the strided chain
    (eq. 16 of Song et al. 2021 at η = 1, which is that of Ho et al., eq. 7, where no time is left out).

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    t : int
        Noise level t*, in [1, 999].
    steps : int
        At least 1, at most `t`; one U-Net call each.
    """
    if not 1 <= steps <= t:
        raise ValueError(f"The number of steps must be between 1 and t* = {t}, not {steps}.")
    diffusion = diffusion_of(bundle)
    times = torch.linspace(t, 0, steps + 1).round().int().tolist()
    level = torch.full((len(pixels),), t, device=pixels.device)
    noisy = diffusion.diffuse(pixels, level, shared_noise(pixels, generator))
    for index, (now, after) in enumerate(zip(times, times[1:])):
        here = torch.full_like(level, now)
        predicted = diffusion.predict_noise(noisy, here)
        estimate = diffusion.estimate(noisy, here, predicted)
        yield PurifierStep(index, now, noisy, estimate)
        if after:
            fresh = shared_noise(pixels, generator)
            noisy = posterior_sample(diffusion.alpha(now), diffusion.alpha(after), noisy, estimate, fresh)


def posterior_sample(alpha: Tensor, alpha_after: Tensor, noisy: Tensor, estimate: Tensor, noise: Tensor) -> Tensor:
    """Draw from q(x_s | x_t, x_0), s < t, for an estimate of x_0 (eq. 6 and 7 of Ho et al. 2020, for any stride).

    Parameters
    ----------
    alpha, alpha_after : Tensor
        () ᾱ_t and ᾱ_s.
    noisy, noise : Tensor
        (B, C, H, W) x_t in [−1, 1] units, and standard normal noise.
    estimate : Tensor
        (B, C, H, W) x_0 in [0, 1].
    """
    ratio = alpha / alpha_after
    from_estimate = alpha_after.sqrt() * (1 - ratio) / (1 - alpha)
    from_noisy = ratio.sqrt() * (1 - alpha_after) / (1 - alpha)
    spread = ((1 - alpha_after) / (1 - alpha) * (1 - ratio)).sqrt()
    return from_estimate * (2 * estimate - 1) + from_noisy * noisy + spread * noise


def deterministic(
    pixels: Tensor, bundle: Bundle, *, t: int, steps: int, generator: torch.Generator, **_: object
) -> Iterator[PurifierStep]:
    """The same with DDIM steps (η = 0): after the first noise nothing is left to chance. Parameters as `ancestral`."""
    yield from purify_steps(pixels, t, steps, diffusion_of(bundle), shared_noise(pixels, generator))
