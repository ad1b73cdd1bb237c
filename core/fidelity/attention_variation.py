"""How far the MAE's view of an estimate is from its view of a reference: figure 4 of MAE-Pure on our scans."""

from typing import NamedTuple

import torch
from torch import Tensor

from core.bundles import Bundle, BundleError
from core.detection.scores import detection_masks, masked_views
from core.models.mae import Encoding, patchify, visible_patches


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
    if estimate.shape != reference.shape:
        raise ValueError(
            f"Estimate and reference must have one shape, not {tuple(estimate.shape)} and {tuple(reference.shape)}."
        )
    mae = bundle.mae
    if mae is None:
        raise BundleError(f"The bundle {bundle.name} has no masked autoencoder to look with; choose one that has.")
    masks, batch = detection_masks(bundle, estimate.device), len(estimate)
    views = masked_views(torch.cat([estimate, reference]), masks, mae)
    visible = visible_patches(masks).repeat(2 * batch, 1)
    decoded = mae.decode(Encoding(views.tokens.flatten(0, 1), ()), visible)
    predicted = decoded.pixels[: batch * len(masks)].float().view(batch, len(masks), mae.patch_count, -1)
    error = (predicted - patchify(estimate, mae.patch).unsqueeze(1)).square().mean(3)  # (B, M, N)
    split = tuple(layer.view(2 * batch, len(masks), *layer.shape[1:]) for layer in decoded.attention)
    return Variation(
        reconstruction_loss=(error * masks).sum((1, 2)) / masks.sum(),
        encoder=_moved(views.attention, batch),
        decoder=_moved(split, batch),
    )


def _moved(attention: tuple[Tensor, ...], batch: int) -> Tensor:
    """(B,) from a (2B, M, heads, n, n) tensor a layer, the estimates first."""
    differences = (layer[:batch].float() - layer[batch:].float() for layer in attention)
    return sum(torch.linalg.matrix_norm(difference).mean((1, 2)) for difference in differences)
