"""Adversarial patch: a small square that may hold anything (Brown et al. 2017), made for each image."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from core.attacks.attempts import Best, Source, check_counts, draw, fooled, look, relay, streams
from core.attacks.gradient import AttackStep, Model, attack_loss, climb

PLACES = ("gradient", "random")


def patch(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    generator: Source,
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
    numbers = streams(generator, len(pixels))
    side = max(1, round(patch_share * min(pixels.shape[2:])))
    attempt = partial(_attempt, model, pixels, labels, numbers, side, place, steps, eot, target)
    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device))
        return
    yield from relay([attempt] * restarts, model, pixels, labels, target=target, eot=eot, seeking=False)


def _attempt(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    numbers: list[torch.Generator],
    side: int,
    place: str,
    steps: int,
    eot: int,
    target: int | None,
    rows: Tensor,
) -> Iterator[AttackStep]:
    pixels, labels, numbers = pixels[rows], labels[rows], [numbers[row] for row in rows.tolist()]
    if place == "gradient":
        strength = climb(model, pixels, labels, eot, target).gradient
    else:
        strength = draw(numbers, pixels.shape[1:], pixels.device)
    inside = patch_place(strength, side, place)
    attacked = torch.where(inside, draw(numbers, pixels.shape[1:], pixels.device), pixels)
    best, every = Best.none_of(attacked), torch.arange(len(pixels), device=pixels.device)
    stride = 2 / steps  # far enough to cross the whole range twice, as the patch may hold anything
    for step in range(steps):
        slope = climb(model, attacked, labels, eot, target)
        best.offer(every, attacked, slope.loss, fooled(slope.logits, labels, target))
        attacked = torch.where(inside, (attacked + stride * slope.gradient.sign()).clamp(0, 1), pixels)
        if step == steps - 1:
            last = look(model, attacked, eot)
            best.offer(every, attacked, attack_loss(last, labels, target), fooled(last, labels, target))
        yield AttackStep(step, slope.loss, best.pixels, slope.logits)


def patch_place(strength: Tensor, side: int, place: str = "gradient") -> Tensor:
    """(B, C, H, W) gradient, or chances for a random place → (B, 1, H, W) bool, True inside each image's square."""
    height, width = strength.shape[2:]
    if place == "gradient":
        sums = avg_pool2d(strength.abs().sum(1, keepdim=True), side, stride=1)
    else:
        sums = strength[:, :1, : height - side + 1, : width - side + 1]
    corner = sums.flatten(1).argmax(1)
    top, left = (value.view(-1, 1, 1, 1) for value in (corner // sums.shape[3], corner % sums.shape[3]))
    rows, columns = torch.arange(height, device=top.device)[:, None], torch.arange(width, device=top.device)
    return (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
