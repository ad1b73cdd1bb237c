"""EAD: the smallest ℓ1 perturbation that fools, with a little ℓ2 (elastic net; Chen et al. 2018)."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from core.attacks.attempts import check_counts, checked_radius, look
from core.attacks.gradient import AttackStep, Model, loss_and_gradient
from core.attacks.minimum_norm import SEARCHES, SmallestPerturbation, WeightSearch, weighted_hinge

LEARNING_RATE = 0.01  # at first; it falls with the root of the steps that are left
SHRINKAGE = 0.01  # β: a pixel that would change by less stays


def ead_yields(steps: int, norm: str, classes: int) -> int:
    """Return how many steps EAD yields: each of its own asks twice, for a gradient and for the answer."""
    return 2 * SEARCHES * steps + 1


def ead(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "l1",
    steps: int = 100,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    searches: int = SEARCHES,
    **_: object,
) -> Iterator[AttackStep]:
    """Descend ‖change‖² + β ‖change‖₁ + weight · hinge by shrinkage and thresholding; parameters as for `pgd`.

    It draws nothing, so that it is the same at every restart.

    Parameters
    ----------
    norm : str
        "l1".
    steps : int
        In each of the `searches` for the weight.

    Yields
    ------
    AttackStep
        One a call of the model, two a step, and a last one with the result; `loss` is the margin. A smallest
        perturbation that is larger than ε is projected onto the ball.

    Raises
    ------
    ValueError
        A parameter is out of range; one sentence.
    """
    check_counts(steps, restarts, eot, searches)
    size = checked_radius(eps, norm, ("l1",), "EAD")
    smallest = SmallestPerturbation(pixels, labels, size, norm, target)
    search = WeightSearch(len(pixels), pixels.device)
    index = 0
    for _search in range(searches):
        # Of algorithm 1: points is x(k), ahead is y(k), from which the gradient is taken (FISTA).
        points = ahead = pixels
        succeeded = torch.zeros_like(labels, dtype=torch.bool)
        objective = partial(weighted_hinge, labels=labels, target=target, weight=search.weight)
        for step in range(steps):
            seen = loss_and_gradient(model, ahead, objective, eot)
            yield smallest.asked(index, ahead, seen.logits)
            gradient = seen.gradient + 2 * (ahead - pixels)
            rate = LEARNING_RATE * (1 - step / steps) ** 0.5
            before, points = points, _shrunk(ahead - rate * gradient, pixels)
            ahead = points + step / (step + 3) * (points - before)
            logits = look(model, points, eot)
            succeeded |= smallest.offer(points, logits)
            yield smallest.asked(index + 1, points, logits)
            index += 2
        search.judge(succeeded)
    yield smallest.result(index, model, eot)


def _shrunk(points: Tensor, pixels: Tensor) -> Tensor:
    """(B, C, H, W) in [0, 1]: each change made smaller by β, and undone where it isn't larger (S of algorithm 1)."""
    change = points - pixels
    return torch.where(change.abs() > SHRINKAGE, (points - SHRINKAGE * change.sign()).clamp(0, 1), pixels)
