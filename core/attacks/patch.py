"""Adversarial patch: a small square that may hold anything (Brown et al. 2017), made for each image."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from core.attacks.attempts import (
    Best,
    Generators,
    check_counts,
    draw,
    fooled,
    look,
    per_image_generators,
    run_restarts,
)
from core.attacks.gradient import AttackStep, Model, attack_loss, loss_and_gradient, per_pixel

PLACES = ("gradient", "random")


def patch(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    generator: Generators,
    steps: int = 40,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    patch_share: float = 0.2,
    place: str = "gradient",
    **_: object,
) -> Iterator[AttackStep]:
    """Signed gradient ascent on the cross-entropy inside one square of each image; parameters as for `pgd`.

    No ball bounds it: `eps` and `norm` are taken and ignored.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        What the patch shows at first, and its place where that is random.
    patch_share : float
        Side of the square as a share of the image's shorter side, above 0 and at most 1.
    place : str
        "gradient", where the clean image's gradient is largest in sum, or "random".

    Yields
    ------
    AttackStep
        restarts × steps of them; `attacked` is each image's best attempt so far.

    Raises
    ------
    ValueError
        A parameter is out of range; one sentence.
    """
    check_counts(steps, restarts, eot)
    if not 0 < patch_share <= 1:
        raise ValueError(f"The patch's share of the image's side must be above 0 and at most 1, not {patch_share:g}.")
    if place not in PLACES:
        raise ValueError(f"There is no place named {place!r} for a patch; choose one of: {', '.join(PLACES)}.")
    generators = per_image_generators(generator, len(pixels))
    side = max(1, round(patch_share * min(pixels.shape[2:])))
    attempt = partial(_attempt, model, pixels, labels, generators, side, place, steps, eot, target)
    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device))
        return
    yield from run_restarts([attempt] * restarts, model, pixels, labels, target=target, eot=eot, until_fooled=False)


def _attempt(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    generators: list[torch.Generator],
    side: int,
    place: str,
    steps: int,
    eot: int,
    target: int | None,
    rows: Tensor,
) -> Iterator[AttackStep]:
    pixels, labels, generators = pixels[rows], labels[rows], [generators[row] for row in rows.tolist()]
    objective = partial(attack_loss, labels=labels, target=target)
    if place == "gradient":
        strength = loss_and_gradient(model, pixels, objective, eot).gradient
    else:
        strength = draw(generators, pixels.shape[1:], pixels.device)
    inside = patch_place(strength, side, place)
    attacked = torch.where(inside, draw(generators, pixels.shape[1:], pixels.device), pixels)
    best, every = Best.start(attacked), torch.arange(len(pixels), device=pixels.device)
    stride = 2 / steps  # far enough to cross the whole range twice, as the patch may hold anything
    for step in range(steps):
        seen = loss_and_gradient(model, attacked, objective, eot)
        best.offer(every, attacked, seen.loss, fooled(seen.logits, labels, target))
        attacked = torch.where(inside, (attacked + stride * seen.gradient.sign()).clamp(0, 1), pixels)
        if step == steps - 1:
            last = look(model, attacked, eot)
            best.offer(every, attacked, objective(last), fooled(last, labels, target))
        yield AttackStep(step, seen.loss, best.pixels, seen.logits)


def patch_place(strength: Tensor, side: int, place: str = "gradient") -> Tensor:
    """Return (B, 1, H, W) bool, True inside each image's square.

    strength (B, C, H, W): the gradient, or chances for a random place.
    """
    height, width = strength.shape[2:]
    if place == "gradient":
        sums = avg_pool2d(strength.abs().sum(1, keepdim=True), side, stride=1)
    else:
        sums = strength[:, :1, : height - side + 1, : width - side + 1]
    corner = sums.flatten(1).argmax(1)
    top, left = per_pixel(corner // sums.shape[3]), per_pixel(corner % sums.shape[3])
    rows, columns = torch.arange(height, device=top.device)[:, None], torch.arange(width, device=top.device)
    return (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
