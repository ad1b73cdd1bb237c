"""A classifier of four pixels that is solved by hand, and small words that many tests of attacks use."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from core.attacks import AttackStep

WEIGHTS = torch.tensor([[1.0, -2.0, 0.5, 3.0], [-1.0, 2.0, -0.5, -3.0]])
SLOPE = WEIGHTS[1] - WEIGHTS[0]  # -2, 4, -1, -6: ℓ1 13, ℓ2 √57


def linear(pixels: Tensor) -> Tensor:
    """All pixels at .5 give the logits 1.25 and -1.25, a margin of -2.5."""
    return pixels.flatten(1) @ WEIGHTS.T


def middle(count: int = 1) -> Tensor:
    """Images of 2 × 2 pixels at .5."""
    return torch.full((count, 1, 2, 2), 0.5)


def zeros(count: int = 1) -> Tensor:
    """The label 0 for each image."""
    return torch.zeros(count, dtype=torch.long)


def numbers(seed: int = 0) -> torch.Generator:
    """A source of random numbers."""
    return torch.Generator().manual_seed(seed)


def last(steps: Iterable[AttackStep]) -> AttackStep:
    """The last step of an attack."""
    return list(steps)[-1]


def moved(step: AttackStep) -> Tensor:
    """What an attack on `middle` changed, flat."""
    return (step.attacked - 0.5).flatten()


def make_bent(classes: int = 2) -> Callable[[Tensor], Tensor]:
    """A smooth classifier of 8 × 8 pixels with a hidden layer of 16, and gradients that turn."""
    first, second = torch.randn(64, 16, generator=numbers(1)), torch.randn(16, classes, generator=numbers(2))
    return lambda pixels: torch.tanh((pixels.flatten(1) - 0.5) @ first) @ second
