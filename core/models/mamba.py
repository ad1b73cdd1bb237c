"""A tiny MedMamba, with a selective scan that needs no kernel of its own.

The blocks are those of MedMamba (Yue & Li 2024, arXiv 2403.03849): half of the channels go through convolutions, the
other half through the two-dimensional selective scan of VMamba (Liu et al. 2024, arXiv 2401.10166), which is that of
Mamba (Gu & Dao 2023, arXiv 2312.00752, section 3) along four paths.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.resnet import PIXEL_MEAN, PIXEL_STD
from core.models.selective_scan import DIRECTIONS, cross_merge, cross_scan, selective_scan
from core.models.stages import Stage

LEAST_STEP, LARGEST_STEP = 1e-3, 1e-1


class SelectiveScan2d(nn.Module):
    """VMamba's SS2D: (B, H, W, C) → (B, H, W, C).

    Parameters
    ----------
    channels : int
        C, of input and output; the scan itself has twice as many.
    states : int
        N, states a channel and direction.
    """

    def __init__(self, channels: int, states: int):
        super().__init__()
        inner, rank = 2 * channels, math.ceil(channels / 16)
        self.sizes = [rank, states, states]
        self.enter = nn.Linear(channels, 2 * inner, bias=False)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.select = nn.Parameter(torch.empty(DIRECTIONS, inner, sum(self.sizes)).uniform_(-1, 1) / inner**0.5)
        self.step = nn.Parameter(torch.empty(DIRECTIONS, rank, inner).uniform_(-1, 1) / rank**0.5)
        self.step_bias = nn.Parameter(_first_steps(inner))
        self.log_decay = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(DIRECTIONS, inner, 1))
        self.skip = nn.Parameter(torch.ones(DIRECTIONS, inner))
        self.norm = nn.LayerNorm(inner)
        self.leave = nn.Linear(inner, channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Linear, depthwise convolution, SiLU, the scan, LayerNorm, gate, linear."""
        inner, gate = self.enter(maps).chunk(2, dim=-1)
        mixed = functional.silu(self.mix(inner.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        scanned = cross_merge(self._scan(cross_scan(mixed)), *maps.shape[1:3])
        return self.leave(self.norm(scanned) * functional.silu(gate))

    def _scan(self, x: Tensor) -> Tensor:
        """(L, B, 4, D) → (L, B, 4, D); Δ, B and C are read from the sequence itself (Gu & Dao 2023, algorithm 2)."""
        low, entry, leave = _by_direction(x, self.select).split(self.sizes, dim=-1)
        step = functional.softplus(_by_direction(low, self.step) + self.step_bias)
        return selective_scan(x, step, -self.log_decay.exp(), entry, leave) + self.skip * x


def _by_direction(sequences: Tensor, weight: Tensor) -> Tensor:
    """(L, B, 4, I) and (4, I, O) → (L, B, 4, O): each direction has its own linear map."""
    return torch.einsum("lbki,kio->lbko", sequences, weight)


def _first_steps(inner: int) -> Tensor:
    """(4, D) biases whose softplus is spread evenly in logarithm over 0.001 … 0.1 (Gu & Dao 2023, section 3.6)."""
    low, high = math.log(LEAST_STEP), math.log(LARGEST_STEP)
    steps = torch.empty(DIRECTIONS, inner).uniform_(low, high).exp()
    return steps + (-(-steps).expm1()).log()


class Block(nn.Module):
    """SS-Conv-SSM (Yue & Li 2024): (B, H, W, C) → (B, H, W, C), C even."""

    def __init__(self, channels: int, states: int):
        super().__init__()
        half = channels // 2
        self.convolutions = nn.Sequential(
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 1),
            nn.ReLU(),
        )
        self.norm = nn.LayerNorm(half)
        self.scan = SelectiveScan2d(half, states)

    def forward(self, maps: Tensor) -> Tensor:
        near, far = maps.chunk(2, dim=-1)
        near = self.convolutions(near.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        far = self.scan(self.norm(far))
        return maps + torch.stack([near, far], dim=-1).flatten(-2)  # channel by channel in turn: the shuffle


class PatchEmbedding(nn.Module):
    """(B, C, H, W) pixels in [0, 1] → (B, H / 4, W / 4, D), by two convolutions of stride 2."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.first = nn.Conv2d(in_channels, channels // 2, 3, 2, 1)
        self.first_norm = nn.LayerNorm(channels // 2)
        self.second = nn.Conv2d(channels // 2, channels, 3, 2, 1)
        self.second_norm = nn.LayerNorm(channels)

    def forward(self, pixels: Tensor) -> Tensor:
        normalised = (pixels - PIXEL_MEAN) / PIXEL_STD
        maps = functional.gelu(self.first_norm(self.first(normalised).permute(0, 2, 3, 1)))
        return self.second_norm(self.second(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    """(B, H, W, C) → (B, H / 2, W / 2, 2 · C): each 2 × 2 patches become one (Liu et al. 2021, section 3.1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        count, height, width, channels = maps.shape
        patches = maps.reshape(count, height // 2, 2, width // 2, 2, channels).transpose(2, 3).flatten(3)
        return self.reduce(self.norm(patches))


class MedMamba(nn.Module):
    """MedMamba (Yue & Li 2024) with three levels instead of four, and narrow: 0.35 M parameters.

    The side of the pixels must be a multiple of 4 · 2^(levels - 1).

    Parameters
    ----------
    in_channels : int
        1 for grey scans, 3 for colour.
    class_count : int
        Number of logits.
    width : int
        Channels of the first level, doubled from level to level; even.
    depths : sequence of int
        Blocks a level.
    states : int
        States a channel and direction of the scan; 16 in the papers.
    """

    def __init__(
        self,
        in_channels: int,
        class_count: int,
        width: int = 32,
        depths: Sequence[int] = (1, 2, 2),
        states: int = 4,
    ):
        super().__init__()
        if width % 2 or len(depths) < 2:
            raise ValueError(
                f"MedMamba halves its channels and merges its patches, so it needs an even width and two levels or "
                f"more; width {width} with {len(depths)} levels is not possible."
            )
        widths = [width * 2**level for level in range(len(depths))]
        self.embedding = PatchEmbedding(in_channels, width)
        self.levels = nn.ModuleList(
            nn.Sequential(*(Block(channels, states) for _ in range(depth))) for channels, depth in zip(widths, depths)
        )
        self.mergings = nn.ModuleList(PatchMerging(channels) for channels in widths[:-1])
        self.norm = nn.LayerNorm(widths[-1])
        self.head = nn.Linear(widths[-1], class_count)

    def stages(self) -> tuple[Stage, ...]:
        """The network as a chain: embedding, blocks and mergings in turn, and the head."""
        chain = [_stage("embedding", self.embedding)]
        for level, blocks in enumerate(self.levels):
            if level:
                chain.append(_stage(f"mergings.{level - 1}", self.mergings[level - 1]))
            chain += [_stage(f"levels.{level}.{index}", block) for index, block in enumerate(blocks.children())]
        return (*chain, Stage("head", ("norm", "head"), self._answer))

    def feature_maps(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, 2 · width, H / 8, W / 8) after the second of three levels."""
        return _through(self.stages()[: self._cut()], pixels).permute(0, 3, 1, 2)

    def classify(self, maps: Tensor) -> Tensor:
        """Feature maps, as `feature_maps` returns them → (B, classes) logits."""
        return _through(self.stages()[self._cut() :], maps.permute(0, 2, 3, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, classes) logits."""
        return _through(self.stages(), pixels)

    def _answer(self, maps: Tensor) -> Tensor:
        return self.head(self.norm(maps).mean((1, 2)))

    def _cut(self) -> int:
        """How many stages come before the last merging."""
        return len(self.stages()) - len(list(self.levels[-1].children())) - 2


def _stage(name: str, module: nn.Module) -> Stage:
    return Stage(name, (name,), module)


def _through(stages: Sequence[Stage], value: Tensor) -> Tensor:
    for stage in stages:
        value = stage.run(value)
    return value
