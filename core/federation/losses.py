"""What hospitals descend: a classifier's loss, that of a gate, of an autoencoder, and of a U-Net.

The last two are asked about what was drawn at random. That is drawn beforehand (`prepared`), with the same generator as
a round's batches, so that a loss hangs on its arguments alone.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from diffusers.models import UNet2DModel
from torch import Tensor, nn
from torch.nn import functional

from core.compute import fast_autocast
from core.federation.plan import CLASSIFIER, DETECTOR, PURIFIER
from core.models.diffusion import NoiseSchedule
from core.models.experts import MixtureOfExperts
from core.models.mae import MaskedAutoencoder
from core.models.objectives import CLASS_DROPPED, drawn_masks, drawn_times, masked_error, reconstruction_error

SMOOTHING = 0.05
ENTROPY = 0.01
HIDDEN_PARTS = 4  # a quarter of the patches is hidden, as the detector hides one


class Hidden(NamedTuple):
    """pixels (B, C, H, W) in [0, 1]; masks (B, N) bool, True where a patch is hidden."""

    pixels: Tensor
    masks: Tensor


class Noisy(NamedTuple):
    """pixels (B, C, H, W) with the noise of steps t (B,), in [−1, 1] units; that noise; told (B,): with its class."""

    pixels: Tensor
    t: Tensor
    noise: Tensor
    told: Tensor


def expert_loss(network: nn.Module, pixels: Tensor, labels: Tensor, exact: bool = False) -> Tensor:
    """() the cross-entropy with smoothed labels; exact: in float32 whatever the hardware does faster."""
    with nullcontext() if exact else fast_autocast():
        logits = network(pixels)
    return functional.cross_entropy(logits.float(), labels, label_smoothing=SMOOTHING)


def gate_loss(network: MixtureOfExperts, pixels: Tensor, labels: Tensor, exact: bool = False) -> Tensor:
    """() the mixture's cross-entropy, less a share of its gate's mean entropy, so that no expert falls silent.

    Labels aren't smoothed: smoothing rewards an even mixture, and then the gate says little. exact: as `expert_loss`.
    """
    with nullcontext() if exact else fast_autocast():
        weights, _, combined = network.opinions(pixels)
    entropy = -(weights.float() * weights.float().clamp_min(1e-8).log()).sum(1).mean()
    return functional.cross_entropy(combined.float(), labels) - ENTROPY * entropy


def detector_loss(network: MaskedAutoencoder, drawn: Hidden, labels: Tensor) -> Tensor:
    """() the error of hidden patches (He et al. 2022), and how unlikely it was by its predicted variance."""
    with fast_autocast():
        error, log_variance = masked_error(network, drawn.pixels, drawn.masks)
    return reconstruction_error(error, log_variance, drawn.masks)


def purifier_loss(network: UNet2DModel, drawn: Noisy, labels: Tensor) -> Tensor:
    """() the squared error of the predicted noise (Ho et al. 2020, eq. 14); the last class stands for none."""
    none = network.config["num_class_embeds"] - 1
    with fast_autocast():
        guess = network(drawn.pixels, drawn.t, class_labels=torch.where(drawn.told, labels, none)).sample
    return functional.mse_loss(guess.float(), drawn.noise)


LOSSES: dict[str, Callable[..., Tensor]] = {CLASSIFIER: expert_loss, DETECTOR: detector_loss, PURIFIER: purifier_loss}


def prepared(network: nn.Module, pixels: Tensor, generator: torch.Generator) -> Any:
    """What the loss of a network is asked about, for (B, C, H, W) pixels in [0, 1] of a batch.

    For an autoencoder patches are hidden, for a U-Net noise is added, mostly little, as purification does; a classifier
    gets the pixels as they are.
    """
    if isinstance(network, MaskedAutoencoder):
        masks = drawn_masks(len(pixels), network.patch_count, HIDDEN_PARTS, generator)
        return Hidden(pixels, masks.to(pixels.device))
    if not isinstance(network, UNet2DModel):
        return pixels
    t, noise = drawn_times(len(pixels), generator), torch.randn(pixels.shape, generator=generator)
    told = torch.rand(len(pixels), generator=generator) >= CLASS_DROPPED
    t, noise, told = (drawn.to(pixels.device) for drawn in (t, noise, told))
    return Noisy(NoiseSchedule().diffuse(pixels, t, noise), t, noise, told)
