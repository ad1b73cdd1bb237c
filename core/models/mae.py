"""Masked autoencoder (He et al. 2022) that returns its attention from its own forward pass."""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from timm.layers import Attention, PatchEmbed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from core.models.resnet import PIXEL_MEAN, PIXEL_STD


class Encoding(NamedTuple):
    """tokens (B, 1 + K, D) after the last norm; attention: one (B, heads, 1 + K, 1 + K) tensor a layer."""

    tokens: Tensor
    attention: tuple[Tensor, ...]


class Reconstruction(NamedTuple):
    """pixels (B, N, C·p·p) per patch in [0, 1] units; log_variance (B, N); attention as in `Encoding`."""

    pixels: Tensor
    log_variance: Tensor
    attention: tuple[Tensor, ...]


def complementary_masks(patches: int, parts: int, generator: torch.Generator) -> Tensor:
    """Masks that hide every patch exactly once.

    Returns
    -------
    Tensor
        (parts, patches) bool, True where hidden; each column holds exactly one True, and the rows are of equal size
        (to within one patch).
    """
    order = torch.randperm(patches, generator=generator)
    masks = torch.zeros(parts, patches, dtype=torch.bool)
    masks[torch.arange(patches) % parts, order] = True
    return masks


def patchify(pixels: Tensor, size: int) -> Tensor:
    """(B, C, H, W) → (B, N, C·size·size), patches and their pixels in row order. Inverse of `unpatchify`."""
    batch, channels, height, width = pixels.shape
    rows, columns = height // size, width // size
    grid = pixels.reshape(batch, channels, rows, size, columns, size)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, channels * size * size)


def unpatchify(patches: Tensor, size: int, channels: int) -> Tensor:
    """(B, N, C·size·size) → (B, C, H, W) for a square image. Inverse of `patchify`."""
    batch, count, _ = patches.shape
    side = int(count**0.5)
    grid = patches.reshape(batch, side, side, channels, size, size)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, side * size, side * size)


def sincos_positions(side: int, width: int) -> Tensor:
    """(1, 1 + side², width) fixed sin-cos positions, a zero row for the class token; x half first, then y."""
    frequencies = 1 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequencies for axis in (columns, rows)]
    table = torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1)
    return torch.cat([torch.zeros(1, width), table.float()]).unsqueeze(0)


def attend(block: Block, tokens: Tensor, change: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """One timm block, computed here because its own forward does not hand out the attention matrix.

    `change` (B, 6, D): shift, scale and gate of its attention, then of its MLP (Peebles & Xie 2023); 0 changes nothing.
    """
    first, second = (None, None) if change is None else change.unsqueeze(2).split(3, 1)  # (B, 3, 1, D) each
    attention = cast(Attention, block.attn)  # what timm makes where it is asked for no other
    batch, count, width = tokens.shape
    qkv = attention.qkv(_shifted(block.norm1(tokens), first))
    qkv = qkv.reshape(batch, count, 3, attention.num_heads, attention.head_dim)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, N, d) each
    weights = ((query * attention.scale) @ key.transpose(-2, -1)).softmax(dim=-1)
    mixed = (weights @ value).transpose(1, 2).reshape(batch, count, width)
    tokens = tokens + _gated(attention.proj(mixed), first)
    return tokens + _gated(block.mlp(_shifted(block.norm2(tokens), second)), second), weights


def _shifted(tokens: Tensor, change: Tensor | None) -> Tensor:
    return tokens if change is None else tokens * (1 + change[:, 1]) + change[:, 0]


def _gated(tokens: Tensor, change: Tensor | None) -> Tensor:
    return tokens if change is None else tokens * (1 + change[:, 2])


def blocks_in(modules: nn.ModuleList) -> Iterable[Block]:
    """The blocks of a list: torch's own type forgets what it was filled with."""
    return cast(Iterable[Block], modules)


def through(modules: nn.ModuleList, tokens: Tensor, changes: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """(B, N, D) tokens through all blocks of a list, and their attention; changes (B, blocks, 6, D), see `attend`."""
    attention = []
    for place, block in enumerate(blocks_in(modules)):
        tokens, weights = attend(block, tokens, None if changes is None else changes[:, place])
        attention.append(weights)
    return tokens, tuple(attention)


class MaskedAutoencoder(nn.Module):
    """MAE with square patches: an encoder over the visible patches, a narrow decoder over all of them.

    Parameters
    ----------
    resolution, patch, channels : int
        Image side and patch side in pixels; image channels.
    width, depth, heads : int
        Encoder.
    decoder_width, decoder_depth, decoder_heads : int
        Decoder.
    """

    pos_embed: Tensor
    decoder_pos_embed: Tensor

    def __init__(
        self,
        resolution: int = 128,
        patch: int = 8,
        channels: int = 1,
        width: int = 256,
        depth: int = 8,
        heads: int = 8,
        decoder_width: int = 192,
        decoder_depth: int = 4,
        decoder_heads: int = 6,
    ):
        super().__init__()
        side = resolution // patch
        self.patch, self.channels, self.patch_count = patch, channels, side * side
        self.patch_embed = PatchEmbed(resolution, patch, channels, width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.register_buffer("pos_embed", sincos_positions(side, width))
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.decoder_embed = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.randn(1, 1, decoder_width) * 0.02)
        self.register_buffer("decoder_pos_embed", sincos_positions(side, decoder_width))
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_width, decoder_heads, qkv_bias=True) for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(decoder_width)
        self.decoder_pred = nn.Linear(decoder_width, channels * patch * patch)
        self.decoder_logvar = nn.Linear(decoder_width, 1)

    def encode(self, pixels: Tensor, visible: Tensor) -> Encoding:
        """Encode the visible patches.

        Parameters
        ----------
        pixels : Tensor
            (B, C, H, W) in [0, 1].
        visible : Tensor
            (B, K) indices of the patches that are kept, ascending.
        """
        tokens, attention = through(self.blocks, self.embed(pixels, visible))
        return Encoding(self.norm(tokens), attention)

    def embed(self, pixels: Tensor, visible: Tensor) -> Tensor:
        """(B, 1 + K, D) tokens of the class and the visible patches, before the first block."""
        pixels = ((pixels - PIXEL_MEAN) / PIXEL_STD).to(self.cls_token.dtype)
        tokens = self.patch_embed(pixels) + self.pos_embed[:, 1:]  # (B, N, D)
        tokens = tokens.gather(1, visible.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))  # (B, K, D)
        start = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        return torch.cat([start, tokens], dim=1)

    def decode(self, encoding: Encoding, visible: Tensor) -> Reconstruction:
        """Predict every patch, hidden or not, from an encoding of the `visible` (B, K) ones."""
        tokens, attention = through(self.decoder_blocks, self.canvas(encoding, visible))
        return self.predicted(self.decoder_norm(tokens)[:, 1:], attention)

    def canvas(self, encoding: Encoding, visible: Tensor) -> Tensor:
        """(B, 1 + N, D') tokens of the decoder before its first block: what was encoded, mask tokens elsewhere."""
        tokens = self.decoder_embed(encoding.tokens)  # (B, 1 + K, D')
        canvas = self.mask_token.to(tokens.dtype).repeat(len(tokens), self.patch_count, 1)
        canvas = canvas.scatter(1, visible.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]), tokens[:, 1:])
        return torch.cat([tokens[:, :1], canvas], dim=1) + self.decoder_pos_embed

    def predicted(self, tokens: Tensor, attention: tuple[Tensor, ...]) -> Reconstruction:
        """What (B, N, D') tokens after the decoder's last norm say of each patch."""
        return Reconstruction(self.decoder_pred(tokens), self.decoder_logvar(tokens).squeeze(-1), attention)


def visible_patches(masks: Tensor) -> Tensor:
    """(M, N) bool, True where hidden, the same count hidden in each row → (M, K) ascending indices of the others."""
    return (~masks).nonzero()[:, 1].reshape(len(masks), -1)
