"""Networks, layers, numbers and bits in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pages.shared.words import number

if TYPE_CHECKING:
    from core import Bundle
    from core.faults import Fault
    from core.faults.view import Layer

NO_NUMBER = "No number comes out"
TITLES = {
    "resnet18": "ResNet-18",
    "robust": "Robust ResNet-18",
    "hardened": "Hardened ResNet-18",
    "mamba": "MedMamba",
    "vit": "ViT",
    "medfedpure": "MedFedPure",
    "dwf": "Divided We Fall",
    "mae": "Autoencoder",
}
FIELDS = {
    "sign": "it turns the number’s sign round",
    "exponent": "it multiplies or divides the number by a power of two",
    "mantissa": "it changes the number a little",
}


def network_title(name: str) -> str:
    """A network in words."""
    return TITLES.get(name, name)


def part_title(models: Bundle, network: str, part: str) -> str:
    """An expert of a mixture by its name, or the gate."""
    kind, _, place = part.rpartition(".")
    if kind != "experts":
        return part.capitalize()
    return f"Expert {int(place) + 1}: {models.experts(network)[int(place)].name}"


def layer_title(layer: Layer) -> str:
    """A layer without the part that it belongs to."""
    return layer.name.removeprefix(f"{layer.part}.") if layer.part else layer.name


def short_tensor(layer: Layer, tensor: str) -> str:
    """A tensor, without what all of its layer begin with, and how many numbers it holds."""
    names = list(layer.tensors)
    start = names[0].split(".")
    while start and not all(name.startswith(".".join(start) + ".") for name in names):
        start.pop()
    rest = tensor.removeprefix(".".join(start) + ".") if start and len(names) > 1 else tensor.rpartition(".")[2]
    return f"{rest} · {counted_numbers(layer.tensors[tensor])}"


def counted_numbers(count: int) -> str:
    """So many numbers."""
    return "1 number" if count == 1 else f"{count:,} numbers"


def counted_bits(count: int) -> str:
    """So many bits."""
    return "1 bit" if count == 1 else f"{count} bits"


def counted_flips(count: int) -> str:
    """So many flipped bits."""
    return "1 flipped bit" if count == 1 else f"{count:,} flipped bits"


def value_text(value: float) -> str:
    """A number as it is, for the back row: powers of ten only where it takes them."""
    if math.isnan(value):
        return "NaN: not a number"
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    if value == 0:
        return "−0" if math.copysign(1, value) < 0 else "0"
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:.5g}".replace("-", "−")
    digits, power = f"{value:.2e}".split("e")
    signs = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"{digits.replace('-', '−')} × 10{str(int(power)).translate(signs)}"


def fault_text(fault: Fault) -> str:
    """One flip on a line."""
    kind = "activation of " if fault.kind == "activation" else ""
    return f"{kind}{fault.tensor}, number {fault.index:,}, bit {fault.bit}"


def measured(share: float) -> str:
    """A share that was counted: unlike a probability it may be 0 or 100 %."""
    return f"{100 * share:.1f}\u00a0%"  # a per cent sign alone on a line is no number


def misses(accuracy: float, non_finite: float | None) -> str:
    """What the answers are that aren't right, in short: an accuracy of 0 % doesn't tell wrong from missing.

    Both are shares of all answers, in [0, 1]; `non_finite` is None where it wasn't noted.
    """
    if non_finite is None:
        return "not noted whether wrong or without a number"
    wrong = max(0.0, 1 - accuracy - non_finite)
    parts = [(wrong, "wrong"), (non_finite, "without a number, NaN")]
    known = [f"{measured(share)} {what}" for share, what in parts if share > 0.0005]
    return "; ".join(known) or "none"


def bytes_text(count: int) -> str:
    """A size in memory."""
    return f"{count:,} bytes" if count < 10_000 else f"{number(count / 1024)} KB"
