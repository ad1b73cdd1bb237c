"""A tiny MedMamba, with a selective scan that needs no kernel of its own.

The blocks are those of MedMamba (Yue & Li 2024, arXiv 2403.03849): half of the channels go through convolutions, the
other half through the two-dimensional selective scan of VMamba (Liu et al. 2024, arXiv 2401.10166), which is that of
Mamba (Gu & Dao 2023, arXiv 2312.00752, section 3) along four paths.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.resnet import PIXEL_MEAN, PIXEL_STD
from core.models.stages import Stage

DIRECTIONS = 4
AT_ONCE = 1 << 17  # state elements held at a time: they should stay in the processor's cache
LEAST_STEP, LARGEST_STEP = 1e-3, 1e-1


def sequential_scan(x: Tensor, step: Tensor, decay: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    """The selective scan as its definition reads, one position after another: slow, and what tests compare with.

    Parameters and result as of `selective_scan`.
    """
    state = x.new_zeros(x.shape[1:] + decay.shape[-1:])
    outputs = []
    for position in range(len(x)):
        kept = (step[position].unsqueeze(-1) * decay).exp() * state
        state = kept + (step[position] * x[position]).unsqueeze(-1) * entry[position].unsqueeze(-2)
        outputs.append((state * leave[position].unsqueeze(-2)).sum(-1))
    return torch.stack(outputs)


def selective_scan(x: Tensor, step: Tensor, decay: Tensor, entry: Tensor, leave: Tensor) -> Tensor:
    """h_l = exp(Δ_l A) h_{l-1} + Δ_l x_l B_l from h = 0, and y_l = C_l · h_l (Gu & Dao 2023, eq. 2).

    Every channel of every path has N states of its own. The input is discretised by Euler's rule, as the authors' code
    does. Nothing but sums and products of numbers that the definition holds is formed, so that long sequences neither
    overflow nor lose digits.

    Parameters
    ----------
    x, step : Tensor
        (L, B, K, D): the sequence along each of K paths, and the step Δ > 0 at each position.
    decay : Tensor
        (K, D, N): A < 0.
    entry, leave : Tensor
        (L, B, K, N): B, how a position enters the states, and C, how they are read.

    Returns
    -------
    Tensor
        (L, B, K, D) in float32, or in float64 where the inputs are.
    """
    dtype = torch.promote_types(decay.dtype, torch.float32)
    return _SelectiveScan.apply(*(value.to(dtype) for value in (x, step, decay, entry, leave)))


class _SelectiveScan(torch.autograd.Function):
    """The recurrence over segments that fit the cache; the backward pass recomputes each segment from its first state.

    With g the gradient of the states, g_l = C_l ∂y_l + exp(Δ_{l+1} A) g_{l+1}: the same recurrence, from the end.
    """

    @staticmethod
    def forward(ctx, x, step, decay, entry, leave):
        rates = decay.permute(2, 0, 1).unsqueeze(1).contiguous()
        state = x.new_zeros(len(rates), *x.shape[1:])
        output, starts = x.new_empty(x.shape), []
        for part in _segments(len(x), state.numel()):
            starts.append(state)
            _, states = _states(x[part], step[part], rates, entry[part], state)
            output[part] = (states * _spread(leave[part])).sum(1)
            state = states[-1].clone()
        ctx.save_for_backward(x, step, rates, entry, leave, torch.stack(starts))
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        x, step, rates, entry, leave, starts = ctx.saved_tensors
        grads = [value.new_empty(value.shape) for value in (x, step, entry, leave)]
        grad_rates, later = torch.zeros_like(starts[0]), torch.zeros_like(starts[0])
        segments = list(zip(_segments(len(x), later.numel()), starts))
        for part, start in reversed(segments):
            kept, states = _states(x[part], step[part], rates, entry[part], start)
            grad = slope[part].unsqueeze(1) * _spread(leave[part])
            grad[-1] += later
            _recur(grad.unbind()[::-1], kept.unbind()[:0:-1])
            entered = (grad * _spread(entry[part])).sum(1)
            grads[0][part] = entered * step[part]
            grads[2][part] = _over_channels(grad * (step[part] * x[part]).unsqueeze(1))
            grads[3][part] = _over_channels(states * slope[part].unsqueeze(1))
            grad *= kept
            later = grad[0].clone()
            grad[0] *= start
            grad[1:] *= states[:-1]
            grads[1][part] = entered * x[part] + (grad * rates).sum(1)
            grad_rates += (grad * step[part].unsqueeze(1)).sum(0)
        return grads[0], grads[1], grad_rates.sum(1).permute(1, 2, 0), grads[2], grads[3]


def _states(x: Tensor, step: Tensor, rates: Tensor, entry: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """exp(Δ A) and the states h after each position of a segment, both (S, N, B, K, D); `start` is h before it."""
    kept = (step.unsqueeze(1) * rates).exp_()
    states = (step * x).unsqueeze(1) * _spread(entry)
    states[0].addcmul_(kept[0], start)
    _recur(states.unbind(), kept.unbind()[1:])
    return kept, states


def _recur(values: Sequence[Tensor], factors: Sequence[Tensor]) -> None:
    """v_i += f_{i-1} v_{i-1} for i = 1, 2, … in place; there is one factor fewer than values."""
    for value, before, factor in zip(values[1:], values, factors, strict=False):
        value.addcmul_(factor, before)


def _segments(length: int, size: int) -> Iterator[slice]:
    """Stretches of a sequence whose positions hold `size` states each, so many that they fit the cache."""
    count = max(1, AT_ONCE // size)
    return (slice(first, first + count) for first in range(0, length, count))


def _spread(value: Tensor) -> Tensor:
    """(S, B, K, N) → (S, N, B, K, 1), as it meets the states."""
    return value.permute(0, 3, 1, 2).unsqueeze(-1)


def _over_channels(value: Tensor) -> Tensor:
    """(S, N, B, K, D) → (S, B, K, N), summed over D."""
    return value.sum(-1).permute(0, 2, 3, 1)


def cross_scan(maps: Tensor) -> Tensor:
    """(B, H, W, D) → (H · W, B, 4, D): by rows, by columns, and both backwards (Liu et al. 2024)."""
    rows = maps.permute(1, 2, 0, 3).flatten(0, 1)
    columns = maps.permute(2, 1, 0, 3).flatten(0, 1)
    return torch.stack([rows, columns, rows.flip(0), columns.flip(0)], dim=2)


def cross_merge(sequences: Tensor, height: int, width: int) -> Tensor:
    """(H · W, B, 4, D) in the order of `cross_scan` → (B, H, W, D), the sum of the four back in place."""
    rows, columns, rows_back, columns_back = sequences.unbind(2)
    by_rows = (rows + rows_back.flip(0)).unflatten(0, (height, width))
    by_columns = (columns + columns_back.flip(0)).unflatten(0, (width, height))
    return (by_rows + by_columns.transpose(0, 1)).permute(2, 0, 1, 3)


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
            chain += [_stage(f"levels.{level}.{index}", block) for index, block in enumerate(blocks)]
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
        return len(self.stages()) - len(self.levels[-1]) - 2


def _stage(name: str, module: nn.Module) -> Stage:
    return Stage(name, (name,), module)


def _through(stages: Sequence[Stage], value: Tensor) -> Tensor:
    for stage in stages:
        value = stage.run(value)
    return value
