"""PGD on coarse changes alone, which a denoiser takes for the scan's own (after Guo et al. 2019)."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from core.attacks.attempts import check_counts, lengths
from core.attacks.gradient import (
    AttackStep,
    Model,
    attack_loss,
    loss_and_gradient,
    per_pixel,
    project,
    radius,
    random_start,
    steepest,
)

COARSENESS = 8  # pixels between two points of the grid


def low_frequency(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: torch.Generator,
    norm: str = "linf",
    steps: int = 40,
    step_size: float | None = None,
    eot: int = 1,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """Gradient ascent on a grid of one point in eight pixels, stretched over the image; parameters as for `pgd`.

    Between the points the change is bilinear, so that it is nowhere larger than at them, and holds no fine detail: what
    purification washes out first isn't there.

    Yields
    ------
    AttackStep
        `steps` of them; the last one's `attacked` is the result.
    """
    check_counts(steps, eot)
    size = radius(eps, norm)
    stride = 2.5 * size / steps if step_size is None else radius(step_size, norm, "The step size")
    shape = tuple(max(1, side // COARSENESS) for side in pixels.shape[2:])

    def attacked(grid: Tensor) -> Tensor:
        return (pixels + stretched(grid, pixels.shape[2:])).clamp(0, 1)

    def length(grid: Tensor) -> Tensor:
        return per_pixel(lengths(stretched(grid, pixels.shape[2:]), norm).clamp_min(1e-12))

    def inside(grid: Tensor) -> Tensor:
        return project(grid, size, norm) if norm == "linf" else grid * (size / length(grid)).clamp(max=1)

    grid = inside(random_start(pixels[:, :, : shape[0], : shape[1]], size, norm, generator))
    for step in range(steps):
        seen = loss_and_gradient(
            lambda grid: model(attacked(grid)), grid, partial(attack_loss, labels=labels, target=target), eot
        )
        way = steepest(seen.gradient, norm)
        grid = inside(grid + stride * (way if norm == "linf" else way / length(way)))
        yield AttackStep(step, seen.loss, attacked(grid), seen.logits)


def stretched(grid: Tensor, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Return a coarse change (B, C, h, w) as one of (height, width) pixels, bilinear between its points."""
    return interpolate(grid, size=tuple(shape), mode="bilinear", align_corners=False)
