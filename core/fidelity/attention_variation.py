"""How far a network's view of an estimate is from its view of a reference: figures 4 and 7 of MAE-Pure on our scans."""

from typing import NamedTuple

import torch
from torch import Tensor

from core.bundles import Bundle, BundleError
from core.detection.scores import detection_masks, masked_views
from core.models.mae import Encoding, Reconstruction, complementary_masks, patchify, visible_patches
from core.models.mask_dit import MaskDiT


class Variation(NamedTuple):
    """reconstruction_loss (B,) of the estimate, pixel units²; encoder, decoder (B,) attention variation, no unit."""

    reconstruction_loss: Tensor
    encoder: Tensor
    decoder: Tensor


@torch.no_grad()
def variation(estimate: Tensor, reference: Tensor, bundle: Bundle) -> Variation:
    """Measure an estimate against a reference, the clean scan where it is known.

    Reconstruction loss is the mean squared error of the patches while they are hidden (MAE-Pure, eq. 4), which needs no
    reference. Attention-matrix variation is the Frobenius norm of the difference of the attention matrices (section 4),
    summed over the layers, mean over masks and heads. The masks are the detector's, so that every patch is hidden once.

    Parameters
    ----------
    estimate, reference : Tensor
        (B, C, H, W) in [0, 1].

    Raises
    ------
    ValueError
        The shapes differ, or the bundle has no MAE; one sentence.
    """
    _check_shapes(estimate, reference)
    mae = bundle.mae
    if mae is None:
        raise BundleError(f"The bundle {bundle.name} has no masked autoencoder to look with; choose one that has.")
    masks, batch = detection_masks(bundle, estimate.device), len(estimate)
    views = masked_views(torch.cat([estimate, reference]), masks, mae)
    visible = visible_patches(masks).repeat(2 * batch, 1)
    decoded = mae.decode(Encoding(views.tokens.flatten(0, 1), ()), visible)
    return _measured(estimate, decoded, views.attention, masks, mae.patch)


@torch.no_grad()
def mask_dit_variation(estimate: Tensor, reference: Tensor, network: MaskDiT, t: int, seed: int = 0) -> Variation:
    """The same for a masked diffusion transformer, given both with one and the same noise to `t` (appendix G).

    Two masks hide every patch once, half of them each, as MaskDiT-Pure does.

    Parameters
    ----------
    estimate, reference : Tensor
        (B, C, H, W) in [0, 1].
    t : int
        In [1, 999].
    seed : int
        Draws masks and noise, the same for each image.

    Raises
    ------
    ValueError
        The shapes differ; one sentence.
    """
    _check_shapes(estimate, reference)
    generator = torch.Generator().manual_seed(seed)
    masks = complementary_masks(network.patch_count, 2, generator).to(estimate.device)
    both = torch.cat([estimate, reference]).repeat_interleave(len(masks), 0)
    noise = torch.randn((1, *both.shape[1:]), generator=generator).to(both.device).expand(both.shape)
    level, visible = torch.full((len(both),), t, device=both.device), visible_patches(masks).repeat(len(both) // 2, 1)
    encoding = network.encode(network.diffuse(both, level, noise), level, visible)
    decoded = network.decode(encoding, level, visible).picture
    split = tuple(layer.unflatten(0, (-1, len(masks))) for layer in encoding.attention)
    return _measured(estimate, decoded, split, masks, network.patch)


def _check_shapes(estimate: Tensor, reference: Tensor) -> None:
    if estimate.shape != reference.shape:
        raise ValueError(
            f"Estimate and reference must have one shape, not {tuple(estimate.shape)} and {tuple(reference.shape)}."
        )


def _measured(
    estimate: Tensor, decoded: Reconstruction, encoder: tuple[Tensor, ...], masks: Tensor, patch: int
) -> Variation:
    """`decoded`: of the estimates, then of the references, each under all masks (M, N) in turn; `encoder`: a layer
    (2B, M, heads, n, n).
    """
    batch, count = len(estimate), len(masks)
    predicted = decoded.pixels[: batch * count].float().unflatten(0, (batch, count))
    error = (predicted - patchify(estimate, patch).unsqueeze(1)).square().mean(3)  # (B, M, N)
    return Variation(
        reconstruction_loss=(error * masks).sum((1, 2)) / masks.sum(),
        encoder=_moved(encoder, batch),
        decoder=_moved(tuple(layer.unflatten(0, (-1, count)) for layer in decoded.attention), batch),
    )


def _moved(attention: tuple[Tensor, ...], batch: int) -> Tensor:
    """(B,) from a (2B, M, heads, n, n) tensor a layer, the estimates first."""
    differences = (layer[:batch].float() - layer[batch:].float() for layer in attention)
    return sum(torch.linalg.matrix_norm(difference).mean((1, 2)) for difference in differences)
