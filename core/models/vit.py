"""A vision transformer whose class token can be sent away encrypted, with two heads that work on ciphertexts.

The network is that of Dosovitskiy et al. 2021 (arXiv 2010.11929, section 3.1), narrow inside; its final class token is
projected to the 768 numbers of ViT-Base, since these are what a client encrypts and a server answers.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from core.models.mae import Encoding, attend, blocks_in, sincos_positions
from core.models.resnet import PIXEL_MEAN, PIXEL_STD
from core.models.stages import Stage

TOKEN = 768
HEADS = ("linear", "polynomial")


class PolynomialHead(nn.Module):
    """Two linear maps with a square between them (Gilad-Bachrach et al. 2016, CryptoNets): sums and products alone.

    Parameters
    ----------
    class_count, hidden : int
        Number of logits, and of numbers in between.
    """

    def __init__(self, class_count: int, hidden: int):
        super().__init__()
        self.hidden = nn.Linear(TOKEN, hidden)
        self.output = nn.Linear(hidden, class_count)

    def forward(self, token: Tensor) -> Tensor:
        """(B, 768) tokens → (B, classes) logits."""
        return self.output(self.hidden(token).square())


class TokenViT(nn.Module):
    """ViT with a class token of 768 numbers, a linear head and a polynomial head on the same token.

    As a classifier it answers with its linear head; `head` gives either.

    Parameters
    ----------
    in_channels : int
        1 for grey scans, 3 for colour.
    class_count : int
        Number of logits.
    size, patch : int
        Image side and patch side in pixels; the one a multiple of the other.
    width, depth, heads : int
        Numbers a token inside the network (a multiple of four and of the heads), blocks, attention heads a block.
    hidden : int
        Hidden numbers of the polynomial head.

    Raises
    ------
    ValueError
        The patches don't fill the image, or the width can't be shared out; one sentence.
    """

    def __init__(
        self,
        in_channels: int,
        class_count: int,
        size: int = 128,
        patch: int = 16,
        width: int = 256,
        depth: int = 8,
        heads: int = 8,
        hidden: int = 64,
    ):
        super().__init__()
        if size % patch or width % heads or width % 4:
            raise ValueError(
                f"A ViT needs patches that fill the image and a width that is a multiple of 4 and of its heads; "
                f"{size} pixels by {patch}, width {width} and {heads} heads are not possible."
            )
        side = size // patch
        self.patch, self.channels, self.patch_count = patch, in_channels, side * side
        self.patch_embed = PatchEmbed(size, patch, in_channels, width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        # Learned, since its gradient is what gradient inversion reads the tokens from.
        self.pos_embed = nn.Parameter(sincos_positions(side, width))
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, TOKEN)
        self.bound = nn.LayerNorm(TOKEN, elementwise_affine=False)
        self.linear = nn.Linear(TOKEN, class_count)
        self.polynomial = PolynomialHead(class_count, hidden)

    def encode(self, pixels: Tensor, visible: Tensor | None = None) -> Encoding:
        """Every token after the last norm, and the attention of every block.

        Parameters
        ----------
        pixels : Tensor
            (B, C, H, W) in [0, 1].
        visible : Tensor, optional
            (B, K) indices of the patches that are kept, ascending; all of them by default.
        """
        tokens, attention = self._embed(pixels, visible), list[Tensor]()
        for block in blocks_in(self.blocks):
            tokens, weights = attend(block, tokens)
            attention.append(weights)
        return Encoding(self.norm(tokens), tuple(attention))

    def token(self, pixels: Tensor, visible: Tensor | None = None) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, 768) class tokens of mean 0 and variance 1, so none beyond ±28.

        A fixed precision of encrypted numbers is enough for a token only if its size is known before it is made.
        """
        return self._projected(self.encode(pixels, visible).tokens)

    def head(self, kind: str) -> nn.Module:
        """'linear' or 'polynomial' → the module that takes (B, 768) tokens to (B, classes) logits."""
        if kind not in HEADS:
            raise ValueError(f"There is no head {kind!r}; choose one of: {', '.join(HEADS)}.")
        return getattr(self, kind)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, classes) logits of the linear head."""
        return self.linear(self.token(pixels))

    def stages(self) -> tuple[Stage, ...]:
        """The embedding, the blocks, the token, and the linear head; the polynomial one lies beside it, unused."""
        blocks = [
            Stage(f"blocks.{i}", (f"blocks.{i}",), _alone(block)) for i, block in enumerate(blocks_in(self.blocks))
        ]
        return (
            Stage("embedding", ("patch_embed", "cls_token", "pos_embed"), self._embed),
            *blocks,
            Stage("token", ("norm", "project", "bound"), self._project),
            Stage("head", ("linear", "polynomial"), self.linear),
        )

    def _project(self, tokens: Tensor) -> Tensor:
        """(B, 1 + K, width) from the last block → (B, 768)."""
        return self._projected(self.norm(tokens))

    def _projected(self, tokens: Tensor) -> Tensor:
        """(B, 1 + K, width) after the last norm → (B, 768)."""
        return self.bound(self.project(tokens[:, 0]))

    def _embed(self, pixels: Tensor, visible: Tensor | None = None) -> Tensor:
        """(B, 1 + K, width): the class token and the visible patches, each with its position."""
        tokens = self.patch_embed((pixels - PIXEL_MEAN) / PIXEL_STD) + self.pos_embed[:, 1:]  # (B, N, D)
        if visible is not None:
            tokens = tokens.gather(1, visible.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))  # (B, K, D)
        start = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        return torch.cat([start, tokens], dim=1)


@torch.no_grad()
def class_tokens(network: nn.Module, pixels: Tensor, batch: int = 16) -> np.ndarray:
    """(N, C, H, W) pixels in [0, 1] → (N, 768) float64 class tokens of a network that has them."""
    token = cast(Callable[[Tensor], Tensor], network.token)
    return torch.cat([token(part).cpu() for part in pixels.split(batch)]).double().numpy()


def _alone(block: Block) -> Callable[[Tensor], Tensor]:
    """A block that hands out its tokens and keeps its attention."""
    return lambda tokens: attend(block, tokens)[0]
