"""The bits of a floating-point number, and flipping them in place.

IEEE 754 binary32: bit 31 is the sign, 30 to 23 the exponent, 22 to 0 the mantissa. bfloat16 is its upper half: 15, 14
to 7, 6 to 0. The flip is an XOR on the integer view, so that it is exact for every value, NaN and infinity included.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Format(NamedTuple):
    """How a number is stored: of `bits`, the lowest `mantissa_bits` are the mantissa, the highest is the sign."""

    name: str
    bits: int
    mantissa_bits: int
    dtype: torch.dtype
    integer: torch.dtype

    def field(self, bit: int) -> str:
        """'sign', 'exponent' or 'mantissa'; ValueError where the format has no such bit."""
        check_bit(bit, self.name)
        if bit == self.bits - 1:
            return "sign"
        return "exponent" if bit >= self.mantissa_bits else "mantissa"


FORMATS = {
    "float32": Format("float32", 32, 23, torch.float32, torch.int32),
    "bfloat16": Format("bfloat16", 16, 7, torch.bfloat16, torch.int16),
}


def find_format(form: str) -> Format:
    """The format of this name; ValueError where there is none, in one sentence."""
    if form not in FORMATS:
        raise ValueError(f"There is no number format named {form!r}; choose one of: {', '.join(FORMATS)}.")
    return FORMATS[form]


def check_bit(bit: int, form: str) -> None:
    """ValueError in one sentence where the format has no such bit."""
    bits = find_format(form).bits
    if not 0 <= bit < bits:
        raise ValueError(f"A {form} number has no bit {bit}; choose one from 0 to {bits - 1}.")


def check_index(index: int, count: int) -> None:
    """ValueError in one sentence where a tensor of `count` elements has no such element."""
    if not 0 <= index < count:
        raise ValueError(f"There is no element {index} among {count}; choose one from 0 to {count - 1}.")


def flip_bit(values: Tensor, index: int | Tensor, bit: int | Tensor, form: str = "float32") -> None:
    """Flip bits of a tensor's elements, in place.

    Parameters
    ----------
    values : Tensor
        Float32 or bfloat16, of any shape and memory layout. For bfloat16 flips in a float32 tensor, the values that
        are hit are rounded to bfloat16, flipped, and widened again: weights stored in bfloat16, computed in float32.
    index : int or Tensor
        Which element, counted in row-major order from 0; or (K,) of them.
    bit : int or Tensor
        0 for the lowest; or (K,) of them, one for each index. The same bit of the same element twice is no flip.
    form : str
        One of `FORMATS`.

    Raises
    ------
    ValueError
        No such format, bit or element, or float32 flips in a bfloat16 tensor; one sentence.
    """
    stored = find_format(form)
    indices, bits = _paired(index, bit)
    for extreme in (bits.min(), bits.max()):
        check_bit(int(extreme), form)
    for extreme in (indices.min(), indices.max()):
        check_index(int(extreme), values.numel())
    if values.dtype not in (stored.dtype, torch.float32):
        raise ValueError(f"A tensor of {values.dtype} holds no {form} numbers; widen it to float32 first.")
    indices, masks = _merged(indices, bits)
    # By coordinates, as a flat view exists of contiguous tensors alone and weights may lie channels last.
    where = torch.unravel_index(indices.to(values.device), values.shape)
    upper_half = stored.dtype != values.dtype
    chosen = _rounded(values.detach()[where]) if upper_half else values.detach()[where]
    integer = torch.int32 if upper_half else stored.integer
    masks = (masks << 16 if upper_half else masks).to(integer).to(values.device)
    values.detach().view(integer)[where] = chosen.view(integer) ^ masks


def bits_of(value: float, form: str = "float32") -> tuple[bool, ...]:
    """The bits of a number in a format, bit 0 first; rounded to the format where it is narrower."""
    stored = find_format(form)
    pattern = int(torch.tensor([value], dtype=torch.float32).to(stored.dtype).view(stored.integer).item())
    return tuple(bool(pattern >> bit & 1) for bit in range(stored.bits))


def flipped_value(value: float, bit: int, form: str = "float32") -> float:
    """What a number becomes when one of its bits flips; may be infinite or NaN."""
    values = torch.tensor([value], dtype=torch.float32)
    flip_bit(values, 0, bit, form)
    return values.item()


def flipped_values(values: Tensor, form: str = "float32") -> Tensor:
    """(K,) float32 values → (K, bits), what each becomes when each of its bits flips."""
    stored = find_format(form)
    masks = 1 << torch.arange(stored.bits, device=values.device) << 32 - stored.bits
    rounded = values if form == "float32" else _rounded(values)
    return (rounded.view(torch.int32)[:, None] ^ masks.to(torch.int32)).view(torch.float32)


def _paired(index: int | Tensor, bit: int | Tensor) -> tuple[Tensor, Tensor]:
    index, bit = (torch.as_tensor(number).reshape(-1).cpu().long() for number in (index, bit))
    return torch.broadcast_tensors(index, bit)


def _merged(indices: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
    """Different indices, and for each the XOR of all its bits as int64."""
    pairs, count = torch.stack([indices, bits]).unique(dim=1, return_counts=True)
    indices, bits = pairs[:, count % 2 == 1]
    indices, position = indices.unique(return_inverse=True)
    return indices, torch.zeros_like(indices).index_add_(0, position, 1 << bits)


def _rounded(values: Tensor) -> Tensor:
    """Float32 values rounded to bfloat16. Torch turns every NaN into the same one; here a NaN keeps its upper half."""
    upper = (values.view(torch.int32) & -(1 << 16)).view(torch.float32)
    return torch.where(upper.isnan(), upper, values.to(torch.bfloat16).float())
