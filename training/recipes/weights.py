"""Weights on their way into a network and out of it."""

import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def seeded(build: Callable[[], Network], seed: str) -> Network:
    """Return a network whose first weights hang on `seed` alone; PyTorch's own numbers go on as if none were drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(seed.encode()))
        return build()


def named_as(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in float32 under the names of `network` (bare timm weights lack our wrapper's prefix)."""
    if set(weights) != set(network.state_dict()):
        weights = {f"network.{key}": value for key, value in weights.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}


def half(value: Tensor) -> Tensor:
    """Return floating point as fp16, and integers (a batch counter, say) as they are."""
    return value.half().contiguous() if value.is_floating_point() else value.contiguous()


def save_whole(state: Mapping[str, Tensor], path: Path, facts: Mapping[str, str]) -> None:
    """Write a safetensors file anew; a run that is cut off meanwhile leaves the old one and not half of the new."""
    fresh = path.with_suffix(".part")
    save_file(dict(state), fresh, dict(facts))
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
