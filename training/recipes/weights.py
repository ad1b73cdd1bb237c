"""Weights on their way into a network and out of it."""

import zlib
from collections.abc import Callable
from typing import TypeVar

import torch
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


def fitting(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the names of `network`, and its own where a shape differs (other channels or classes)."""
    own, given = network.state_dict(), named_as(network, weights)
    fresh = {key: own[key] for key, value in given.items() if value.shape != own[key].shape}
    if fresh:
        print(f"{len(fresh)} of {len(given)} tensors of --init differ in shape, and begin anew.", flush=True)
    return given | fresh


def half(value: Tensor) -> Tensor:
    """Return floating point as fp16, and integers (a batch counter, say) as they are."""
    return value.half().contiguous() if value.is_floating_point() else value.contiguous()
