"""What the masked autoencoder and the diffusion models are trained on: what is hidden, how much noise, which error."""

import torch
from torch import Tensor

from core.models.diffusion import TRAIN_STEPS
from core.models.mae import MaskedAutoencoder, Reconstruction, complementary_masks, patchify, visible_patches

SMALL_T = 250  # below it purification and detection work
CLASS_DROPPED = 0.3  # share of scans whose class a diffusion model isn't told


def drawn_masks(count: int, patches: int, parts: int, generator: torch.Generator) -> Tensor:
    """(count, patches) bool, True where hidden: one part of so many, drawn for each image."""
    return torch.stack([complementary_masks(patches, parts, generator)[0] for _ in range(count)])


def masked_error(network: MaskedAutoencoder, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """The squared error per patch and its predicted log variance, both (B, N), where (B, N) `masks` hide patches."""
    visible = visible_patches(masks)
    return patch_error(network.decode(network.encode(images, visible), visible), images, network.patch)


def patch_error(made: Reconstruction, images: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """The squared error of each patch against (B, C, H, W) images, and its predicted log variance; (B, N)."""
    error = (made.pixels.float() - patchify(images, patch)).square().mean(-1)
    return error, made.log_variance.float().clamp(-12, 4)


def reconstruction_error(error: Tensor, log_variance: Tensor, hidden: Tensor) -> Tensor:
    """() the error of what was hidden, and how unlikely it was by its predicted variance; all given (B, N)."""
    likelihood = 0.5 * (error.detach() * (-log_variance).exp() + log_variance)
    return (error[hidden].mean() * 10) + 0.01 * likelihood[hidden].mean()


def drawn_times(count: int, generator: torch.Generator, small_t: float = 0.5) -> Tensor:
    """(count,) t: a share of `small_t` of them below `SMALL_T`, the others from everywhere."""
    everywhere = torch.randint(TRAIN_STEPS, (count,), generator=generator)
    small = torch.randint(SMALL_T, (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < small_t, small, everywhere)
