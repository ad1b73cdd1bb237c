"""MAE-Pure (algorithm 1): sign descent of the scan itself on the masked reconstruction loss, and a loss of our own."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from core.bundles import Bundle, diffusion_of, family_of, mae_of
from core.models.diffusion import denoise_once
from core.models.mae import Encoding, MaskedAutoencoder, Reconstruction, patchify, visible_patches
from core.purification.one_step import shared_noise
from core.purification.steps import PurifierStep

MASK_RATE = 0.25
STEP_SIZE = 1.0
COPY_T = 100
AMV_WEIGHT = 0.1
AMV_STEP_SIZE = 1.5
AMV_MOMENTUM = 0.7

Loss = Callable[[Tensor, Tensor], Tensor]


def mae_pure(
    pixels: Tensor,
    bundle: Bundle,
    *,
    steps: int,
    clip: float,
    step_size: float | None,
    generator: torch.Generator,
    robust: bool = False,
    rate: float = MASK_RATE,
    **_: object,
) -> Iterator[PurifierStep]:
    """Descend the reconstruction loss under a new random mask in every step.

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    clip : float
        In 1/255: no value moves farther than this from where it was (η in algorithm 1).
    step_size : float, optional
        In 1/255; 1 by default. It is halved after half of the steps (table 13).
    generator : torch.Generator
        Draws the masks, the same for each image of the batch.
    robust : bool
        With the MAE that was fine-tuned on attacks (RMAE-Pure, appendix F.1).
    rate : float
        The share of the patches that a mask hides (table 14), above 0 and below 1.
    """
    mae = family_of(bundle, "robust_mae") if robust else mae_of(bundle)
    how = (mae.patch_count, steps, clip, step_size or STEP_SIZE, generator)
    yield from descend(pixels, reconstruction_loss(mae), *how, rate=rate)


def reconstruction_loss(mae: MaskedAutoencoder) -> Loss:
    """What MAE-Pure descends: `hidden_error` of what the MAE makes of the visible patches."""

    def loss(moved: Tensor, mask: Tensor) -> Tensor:
        return hidden_error(moved, look(moved, mask, mae)[1], mask, mae.patch)

    return loss


def mae_pure_amv(
    pixels: Tensor,
    bundle: Bundle,
    *,
    steps: int,
    clip: float,
    step_size: float | None,
    generator: torch.Generator,
    **_: object,
) -> Iterator[PurifierStep]:
    """Descend the same loss plus the attention variation between the scan and a denoised copy of its start.

    The copy stands for the clean scan, which is never known, and stays where it is. A light copy, as the detector
    takes, follows the scan too closely to lead it anywhere. Parameters as for `mae_pure`; step_size is 1.5 by default.
    """
    mae, level = mae_of(bundle), torch.full((len(pixels),), COPY_T, device=pixels.device)
    with torch.no_grad():
        copy = denoise_once(pixels, level, diffusion_of(bundle), shared_noise(pixels, generator))

    def loss(moved: Tensor, mask: Tensor) -> Tensor:
        encoding, made = look(moved, mask, mae)
        with torch.no_grad():
            denoised, _ = look(copy, mask, mae)
        return hidden_error(moved, made, mask, mae.patch) + AMV_WEIGHT * attention_distance(encoding, denoised)

    length = step_size or AMV_STEP_SIZE
    yield from descend(pixels, loss, mae.patch_count, steps, clip, length, generator, AMV_MOMENTUM)


def descend(
    pixels: Tensor,
    loss: Loss,
    patches: int,
    steps: int,
    clip: float,
    step_size: float,
    generator: torch.Generator,
    momentum: float = 0.0,
    rate: float = MASK_RATE,
) -> Iterator[PurifierStep]:
    """Move every value against the sign of the gradient, within `clip` of where it was.

    Parameters
    ----------
    loss : callable
        (B, C, H, W) pixels and (1, N) mask, True where hidden → (B,).
    momentum : float
        What a step keeps of the direction before it (Dong et al. 2018, eq. 6), as each mask sees only a part.
    rate : float
        The share of the patches that a mask hides.
    """
    stride = step_size / 255
    lowest, highest = (pixels - clip / 255).clamp_min(0), (pixels + clip / 255).clamp_max(1)
    moved, direction = pixels.detach(), torch.zeros_like(pixels)
    for index in range(steps):
        mask = random_mask(patches, generator, rate).to(pixels.device)
        value, gradient = _slope(loss, moved, mask)
        length = stride / 2 if index > steps / 2 else stride
        mean = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
        direction = momentum * direction + gradient / mean
        moved = (moved - length * direction.sign()).clamp(lowest, highest)
        yield PurifierStep(index, None, None, moved, value)


def random_mask(patches: int, generator: torch.Generator, rate: float = MASK_RATE) -> Tensor:
    """(1, patches) bool, True where hidden: the share `rate` of the patches, drawn anew in each call."""
    mask = torch.zeros(1, patches, dtype=torch.bool)
    mask[0, torch.randperm(patches, generator=generator)[: round(rate * patches)]] = True
    return mask


def look(pixels: Tensor, mask: Tensor, mae: MaskedAutoencoder) -> tuple[Encoding, Reconstruction]:
    """What the MAE makes of (B, C, H, W) pixels under a (1, N) mask, True where hidden."""
    visible = visible_patches(mask).expand(len(pixels), -1)
    encoding = mae.encode(pixels, visible)
    return encoding, mae.decode(encoding, visible)


def hidden_error(pixels: Tensor, made: Reconstruction, mask: Tensor, patch: int) -> Tensor:
    """(B,) mean squared error of the hidden patches (MAE-Pure, eq. 4), each over the variance that the MAE expects.

    So the patches that can be predicted count, and not those that nobody could know from their neighbours.
    """
    error = (made.pixels.float() - patchify(pixels, patch)).square().mean(2)
    precision = (-made.log_variance.detach().float()).exp()
    return (precision * error)[:, mask[0]].mean(1)


def attention_distance(first: Encoding, second: Encoding) -> Tensor:
    """(B,) Frobenius norm of the difference of the attention matrices, summed over layers, mean over heads."""
    total = torch.zeros((), device=first.attention[0].device)
    for a, b in zip(first.attention, second.attention):
        total = total + ((a.float() - b.float()).square().sum((2, 3)) + 1e-12).sqrt().mean(1)
    return total


def _slope(loss: Loss, pixels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) loss and its gradient (B, C, H, W), by the pixels alone."""
    with torch.enable_grad():
        pixels = pixels.detach().requires_grad_()
        value = loss(pixels, mask)
        return value.detach(), torch.autograd.grad(value.sum(), pixels)[0]
