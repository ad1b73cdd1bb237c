"""The selective scan of a state-space model (Gu & Dao 2023), and the four directions in which it crosses a picture."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

DIRECTIONS = 4
AT_ONCE = 1 << 17  # state elements held at a time: they should stay in the processor's cache


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
