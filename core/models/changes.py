"""A fine-tuned network as what it changed of another one, in eight bits a weight."""

from collections.abc import Mapping

import torch
from torch import Tensor

UNIT = ".unit"  # after the name of a tensor: what its changes are counted in
MOST = 127


def changes_between(base: Mapping[str, Tensor], made: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name → int8 change of every tensor that differs, and name and `UNIT` → () float32, the size of a change of 1.

    Rounding is at most half a unit, 0.4 % of the largest change in a tensor.
    """
    kept: dict[str, Tensor] = {}
    for name, value in made.items():
        change = value.float() - base[name].float()
        if change.any():
            unit = change.abs().max() / MOST
            kept |= {name: (change / unit).round().to(torch.int8), name + UNIT: unit}
    return kept


def with_changes(base: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `changes_between` undoes, in float32; KeyError where `base` lacks a tensor that was changed."""
    moved = {name: value.float() for name, value in base.items()}
    for name, change in kept.items():
        if not name.endswith(UNIT):
            moved[name] = moved[name] + change.float() * kept[name + UNIT]
    return moved
