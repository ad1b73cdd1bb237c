"""Denoising diffusion (Ho et al. 2020) around diffusers' U-Net, on pixels in [0, 1]."""

import math
from collections.abc import Sequence

import torch
from diffusers.models import UNet2DModel
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn

# Casting a U-Net makes diffusers warn of layers that should stay in float32; ours has none, and a command's standard
# error is for what its user has to know.
diffusers_logging.set_verbosity_error()

TRAIN_STEPS = 1000
BETA_FIRST, BETA_LAST = 1e-4, 0.02


def cumulative_alphas() -> Tensor:
    """(1000,) ᾱ_t of the linear schedule (Ho et al. 2020, section 4), float32."""
    betas = torch.linspace(BETA_FIRST, BETA_LAST, TRAIN_STEPS, dtype=torch.float64)
    return (1 - betas).cumprod(0).float()


class NoiseSchedule(nn.Module):
    """The noise schedule that every model of noisy pixels here shares."""

    def __init__(self) -> None:
        super().__init__()
        self._alphas = cumulative_alphas()  # no buffer: it must stay float32 when the network goes to bfloat16

    def alpha(self, t: int) -> Tensor:
        """() ᾱ_t, float32."""
        return self._alphas[t]

    def matching_step(self, sigma: float) -> int:
        """The step t whose noise is to its signal as noise of standard deviation `sigma` is to pixels in [0, 1]."""
        # In [−1, 1] units the same noise is twice as large.
        ratios = ((1 - self._alphas) / self._alphas).sqrt() / 2
        return int((ratios.log() - math.log(sigma)).abs().argmin())

    def diffuse(self, pixels: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Forward process, eq. 4 of Ho et al.: (B, C, H, W) in [0, 1] and t (B,) → the noisy image in [−1, 1] units."""
        alpha = self._alphas.to(t.device)[t].view(-1, 1, 1, 1)
        return alpha.sqrt() * (2 * pixels - 1) + (1 - alpha).sqrt() * noise

    def estimate(self, noisy: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The clean image that a noise prediction implies (eq. 15 of Ho et al.), clamped to [0, 1]."""
        alpha = self._alphas.to(t.device)[t].view(-1, 1, 1, 1)
        clean = (noisy - (1 - alpha).sqrt() * noise) / alpha.sqrt()
        return ((clean + 1) / 2).clamp(0, 1)

    def noise_between(self, noisy: Tensor, t: Tensor, pixels: Tensor) -> Tensor:
        """The noise that leads from (B, C, H, W) pixels in [0, 1] to `noisy` at t (B,): eq. 4 of Ho et al. for ε."""
        alpha = self._alphas.to(t.device)[t].view(-1, 1, 1, 1)
        return (noisy - alpha.sqrt() * (2 * pixels - 1)) / (1 - alpha).sqrt()


class Diffusion(NoiseSchedule):
    """An ε-predicting U-Net with its noise schedule.

    Parameters
    ----------
    config : dict
        Arguments of `diffusers.UNet2DModel`.
    unconditional : int or None
        The class label that stands for 'no class given'; None for a U-Net without classes.
    """

    def __init__(self, config: dict, unconditional: int | None = None):
        super().__init__()
        self.unet = UNet2DModel(**{k: v for k, v in config.items() if not k.startswith("_")})
        self.unconditional = unconditional

    def predict_noise(self, noisy: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """ε_θ for a noisy (B, C, H, W) image at steps t (B,); `label` (B,) or none for the unconditional estimate."""
        if label is None and self.unconditional is not None:
            label = torch.full_like(t, self.unconditional)
        return self.unet(noisy.to(self.unet.dtype), t, class_labels=label).sample.float()


def fixed_noise(shape: torch.Size | tuple[int, ...], seed: int | Sequence[int], device: torch.device) -> Tensor:
    """(B, C, H, W) standard normal noise, the same for every image of the batch that has the same seed.

    Drawn per image shape and not per batch, so that an image's result doesn't depend on its neighbours. `seed` is that
    of all images, or (B,) of each image's own.
    """
    seeds = seed if isinstance(seed, Sequence) else [seed]
    drawn = {one: torch.randn((1, *shape[1:]), generator=torch.Generator().manual_seed(one)) for one in set(seeds)}
    return torch.cat([drawn[one] for one in seeds]).to(device).expand(shape)


def denoise_once(pixels: Tensor, t: Tensor, diffusion: Diffusion, noise: Tensor) -> Tensor:
    """One-step estimate of the clean image: forward to t (B,), then one U-Net call.

    Parameters and result in [0, 1], (B, C, H, W).
    """
    noisy = diffusion.diffuse(pixels, t, noise)
    return diffusion.estimate(noisy, t, diffusion.predict_noise(noisy, t))


def denoise_noisy(noisy: Tensor, t: Tensor, diffusion: Diffusion) -> Tensor:
    """The same for pixels that carry the noise already, at the level of t (B,): see `Diffusion.matching_step`.

    `noisy` (B, C, H, W) in pixel units, beyond [0, 1] where the noise leads there; the estimate is in [0, 1].
    """
    scaled = diffusion.diffuse(noisy, t, torch.zeros_like(noisy))
    return diffusion.estimate(scaled, t, diffusion.predict_noise(scaled, t))
