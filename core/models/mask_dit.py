"""Masked diffusion transformer (MaskDiT, Zheng et al. 2024) on the masked autoencoder whose encoder can start it."""

from typing import NamedTuple

import torch
from diffusers.models.normalization import AdaLayerNormSingle
from torch import Tensor, nn

from core.models.diffusion import NoiseSchedule
from core.models.mae import Encoding, MaskedAutoencoder, Reconstruction, through


class Denoising(NamedTuple):
    """noise (B, N, C·p·p) a patch, of use where it was visible; picture: the patches without noise, where hidden."""

    noise: Tensor
    picture: Reconstruction


class TimeConditioning(nn.Module):
    """Shift, scale and gate of every block by t, all of them from one projection (adaLN-single, Chen et al. 2024).

    A projection for each block, as in adaLN-zero (Peebles & Xie 2023), would cost half as many weights as the blocks
    themselves. It begins at zero, as there; here that leaves a block as it is, since it may come from an autoencoder.
    """

    def __init__(self, width: int, depth: int):
        super().__init__()
        self.single = AdaLayerNormSingle(width)
        nn.init.zeros_(self.single.linear.weight)
        nn.init.zeros_(self.single.linear.bias)
        self.tables = nn.Parameter(torch.zeros(depth, 6, width))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) t → (B, depth, 6, width), as `core.models.mae.through` takes it."""
        change, _ = self.single(t, hidden_dtype=self.tables.dtype)  # (B, 6·width)
        return change.view(len(t), 1, 6, -1) + self.tables


class MaskDiT(NoiseSchedule):
    """An encoder over the visible patches of a noisy image and a light decoder over all of them, both told t.

    Parameters
    ----------
    shape : int
        Those of `MaskedAutoencoder`, by name.
    """

    def __init__(self, **shape: int):
        super().__init__()
        self.mae = MaskedAutoencoder(**shape)
        self.encoder_time = TimeConditioning(self.mae.pos_embed.shape[-1], len(self.mae.blocks))
        self.decoder_time = TimeConditioning(self.mae.decoder_pos_embed.shape[-1], len(self.mae.decoder_blocks))
        self.decoder_noise = nn.Linear(self.mae.decoder_pos_embed.shape[-1], self.mae.decoder_pred.out_features)

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.mae.patch

    @property
    def patch_count(self) -> int:
        """How many patches an image has."""
        return self.mae.patch_count

    def encode(self, noisy: Tensor, t: Tensor, visible: Tensor) -> Encoding:
        """Encode the visible patches.

        Parameters
        ----------
        noisy : Tensor
            (B, C, H, W) in [−1, 1] units, at the noise levels `t` (B,).
        visible : Tensor
            (B, K) indices of the patches that are kept, ascending.
        """
        tokens = self.mae.embed((noisy + 1) / 2, visible)  # (B, 1 + K, D)
        tokens, attention = through(self.mae.blocks, tokens, self.encoder_time(t))
        return Encoding(self.mae.norm(tokens), attention)

    def decode(self, encoding: Encoding, t: Tensor, visible: Tensor) -> Denoising:
        """Predict noise and picture of every patch from an encoding of the `visible` (B, K) ones at t (B,)."""
        tokens = self.mae.canvas(encoding, visible)  # (B, 1 + N, D')
        tokens, attention = through(self.mae.decoder_blocks, tokens, self.decoder_time(t))
        tokens = self.mae.decoder_norm(tokens)[:, 1:]  # (B, N, D')
        return Denoising(self.decoder_noise(tokens), self.mae.predicted(tokens, attention))

    def denoise(self, noisy: Tensor, t: Tensor, visible: Tensor) -> Denoising:
        """`encode`, then `decode`."""
        return self.decode(self.encode(noisy, t, visible), t, visible)
