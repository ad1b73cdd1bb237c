"""What a vision transformer attends to, from the attention that its own forward hands out.

Attention says where a layer takes its values from, which isn't yet what an answer rests on. The class token of a masked
autoencoder was moreover trained for no answer at all: its attention shows what the encoder gathers.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.models.mae import MaskedAutoencoder


@torch.no_grad()
def mae_attention(pixels: np.ndarray, mae: MaskedAutoencoder) -> tuple[Tensor, ...]:
    """The encoder's attention while nothing is masked.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1] at the resolution of the MAE.

    Returns
    -------
    tuple of Tensor
        (heads, T, T) float32 a layer, T = 1 + patches, the class token first. Each row sums to one: what its token
        takes from every token.

    Raises
    ------
    ValueError
        The pixels have another shape; one sentence.
    """
    side = math.isqrt(mae.patch_count) * mae.patch
    if pixels.shape != (mae.channels, side, side):
        raise ValueError(f"This MAE needs pixels of the shape {(mae.channels, side, side)}, not {pixels.shape}.")
    where = mae.cls_token.device
    visible = torch.arange(mae.patch_count, device=where).unsqueeze(0)
    layers = mae.encode(torch.from_numpy(pixels).unsqueeze(0).to(where), visible).attention
    # In bfloat16 a row's rounded shares add up to one only within a percent.
    return tuple(layer[0].float() / layer[0].float().sum(-1, keepdim=True) for layer in layers)


def rollout(attention: Sequence[Tensor]) -> Tensor:
    """Attention through all layers (Abnar & Zuidema 2020, section 3): each the mean of its heads and of the identity.

    The identity stands for the residual connection. What a layer attends to is made of what the layer before attended
    to, so that the matrices are multiplied, the last layer's at the left.

    Parameters
    ----------
    attention : sequence of Tensor
        (B, heads, T, T) a layer, first layer first, each row summing to one.

    Returns
    -------
    Tensor
        (B, T, T): what each token of the last layer takes from each token of the input; each row sums to one.

    Raises
    ------
    ValueError
        There is no layer, or they have other shapes; one sentence.
    """
    shapes = {tuple(layer.shape) for layer in attention}
    if len({shape[-1:] for shape in shapes}) != 1 or any(len(shape) != 4 or shape[2] != shape[3] for shape in shapes):
        raise ValueError(f"Rollout needs a tensor (B, heads, T, T) for each layer, not {sorted(shapes) or 'none'}.")
    through = torch.eye(attention[0].shape[-1], device=attention[0].device, dtype=attention[0].dtype)
    identity = through
    for layer in attention:
        through = (layer.mean(1) + identity) / 2 @ through
    return through


def head_map(attention: Tensor, head: int | None = None) -> np.ndarray:
    """What the class token takes from each patch in one layer.

    Parameters
    ----------
    attention : Tensor
        (heads, T, T) of one layer, the class token first, the patches of a square grid after it in row order.
    head : int, optional
        A raw head, from 0; by default the mean over the heads.

    Returns
    -------
    ndarray
        (rows, columns), one share a patch, in [0, 1]; they sum to one less what the class token takes from itself.

    Raises
    ------
    ValueError
        There is no such head, or the patches fill no square; one sentence.
    """
    if head is not None and not 0 <= head < len(attention):
        raise ValueError(f"The head must be between 0 and {len(attention) - 1}, not {head}.")
    return _grid(attention.mean(0) if head is None else attention[head])


def rollout_map(attention: Sequence[Tensor]) -> np.ndarray:
    """What the class token takes from each patch through all layers, by `rollout`.

    Parameters
    ----------
    attention : sequence of Tensor
        (heads, T, T) a layer, as `mae_attention` returns them.

    Returns
    -------
    ndarray
        (rows, columns), one share a patch, in [0, 1]; they sum to one less the class token's own share.

    Raises
    ------
    ValueError
        As for `rollout` and `head_map`.
    """
    return _grid(rollout([layer.unsqueeze(0) for layer in attention])[0])


def _grid(attention: Tensor) -> np.ndarray:
    """(T, T) → (rows, columns): the class token's row without itself."""
    patches = attention[0, 1:]
    side = math.isqrt(len(patches))
    if side * side != len(patches):
        raise ValueError(f"{len(patches)} patches fill no square, so their attention can't be drawn as a map.")
    return patches.reshape(side, side).cpu().numpy()
