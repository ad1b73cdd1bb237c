"""C&W: the smallest ℓ2 perturbation, or the highest margin in an ℓ∞ ball (Carlini & Wagner 2017)."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from core.attacks.attempts import (
    Best,
    Generators,
    check_counts,
    checked_radius,
    draw,
    fooled,
    look,
    margin,
    per_image_generators,
    run_restarts,
)
from core.attacks.gradient import AttackStep, Model, loss_and_gradient, project, steepest
from core.attacks.minimum_norm import SEARCHES, SmallestPerturbation, WeightSearch, weighted_hinge

CONFIDENCE = 50.0  # κ of the ℓ∞ variant (Madry et al. 2018, section 5)
LEARNING_RATE = 0.01
INSIDE = 0.999999  # pixels of 0 and 1 would be infinitely far away in the variable that ℓ2 searches


def cw_yields(steps: int, norm: str, classes: int) -> int:
    """Return how many steps C&W yields."""
    return steps if norm == "linf" else SEARCHES * steps + 1


def cw(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Generators,
    norm: str = "linf",
    steps: int | None = None,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    searches: int = SEARCHES,
    **_: object,
) -> Iterator[AttackStep]:
    """Search for the smallest ℓ2 perturbation, or raise the margin in the ℓ∞ ball; parameters as for `pgd`.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Source of the random starts for ℓ∞; the ℓ2 attack draws nothing, so that it is the same at every restart.
    norm : str
        "l2" or "linf".
    steps : int, optional
        By default 40 for ℓ∞, and 100 in each of the `searches` for ℓ2.

    Yields
    ------
    AttackStep
        One a step, and for ℓ2 a last one with the result; `loss` is the margin. A smallest perturbation that is larger
        than ε is projected onto the ball.

    Raises
    ------
    ValueError
        A parameter is out of range; one sentence.
    """
    steps = (40 if norm == "linf" else 100) if steps is None else steps
    check_counts(steps, restarts, eot, searches)
    size = checked_radius(eps, norm, ("linf", "l2"), "C&W")
    if norm == "l2":
        smallest = SmallestPerturbation(pixels, labels, size, norm, target)
        yield from _smallest_l2(model, smallest, steps, searches, eot)
        return
    generators = per_image_generators(generator, len(pixels))
    attempt = partial(_margin_ascent, model, pixels, labels, generators, size, steps, eot, target)
    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device))
        return
    yield from run_restarts([attempt] * restarts, model, pixels, labels, target=target, eot=eot, until_fooled=False)


def _smallest_l2(
    model: Model, smallest: SmallestPerturbation, steps: int, searches: int, eot: int
) -> Iterator[AttackStep]:
    """The attack of section VI.A: Adam on ‖x − pixels‖² + weight · hinge, in the w of x = (tanh w + 1) / 2."""
    pixels, labels, target = smallest.pixels, smallest.labels, smallest.target
    search = WeightSearch(len(pixels), pixels.device)
    origin = _from_pixels(pixels)
    centre = _to_pixels(origin)  # the pixels themselves, but for what INSIDE changes
    index = 0
    for _ in range(searches):
        change, adam = torch.zeros_like(origin), _Adam(origin)
        succeeded = torch.zeros_like(labels, dtype=torch.bool)
        objective = partial(weighted_hinge, labels=labels, target=target, weight=search.weight)
        for _ in range(steps):
            points, chain = torch.func.vjp(_to_pixels, origin + change)[:2]
            seen = loss_and_gradient(model, points, objective, eot)
            succeeded |= smallest.offer(points, seen.logits)
            yield smallest.asked(index, points, seen.logits)
            index += 1
            (gradient,) = chain(seen.gradient + 2 * (points - centre))
            change = change - adam.step(gradient)
        search.judge(succeeded)
    yield smallest.result(index, model, eot)


def _from_pixels(pixels: Tensor) -> Tensor:
    """The w of which these are `_to_pixels`."""
    # Written out, atanh rounds as in the library that a test compares this with.
    inner = INSIDE * (2 * pixels - 1)
    return 0.5 * (inner.log1p() - (-inner).log1p())


def _to_pixels(free: Tensor) -> Tensor:
    return (free.tanh() + 1) / 2


class _Adam:
    """Kingma & Ba 2015, algorithm 1, in its order of operations; torch's own has another, and ends on other pixels."""

    def __init__(self, like: Tensor) -> None:
        self._mean, self._square, self._count = torch.zeros_like(like), torch.zeros_like(like), 0

    def step(self, gradient: Tensor) -> Tensor:
        """Return what to subtract."""
        self._count += 1
        self._mean = 0.9 * self._mean + (1 - 0.9) * gradient
        self._square = 0.999 * self._square + (1 - 0.999) * gradient**2
        mean, square = self._mean / (1 - 0.9**self._count), self._square / (1 - 0.999**self._count)
        return LEARNING_RATE * mean / (square.sqrt() + 1e-8)


def _margin_ascent(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    generators: list[torch.Generator],
    size: float,
    steps: int,
    eot: int,
    target: int | None,
    rows: Tensor,
) -> Iterator[AttackStep]:
    """PGD on the margin, cut off at κ, as Madry et al. 2018 use the loss f₆ of Carlini & Wagner 2017, in ℓ∞."""
    pixels, labels = pixels[rows], labels[rows]
    noise = 2 * draw([generators[row] for row in rows.tolist()], pixels.shape[1:], pixels.device) - 1
    attacked = (pixels + size * noise).clamp(0, 1)
    best, every = Best.start(attacked), torch.arange(len(pixels), device=pixels.device)

    def objective(logits: Tensor) -> Tensor:
        return margin(logits, labels, target).clamp(max=CONFIDENCE)

    for step in range(steps):
        seen = loss_and_gradient(model, attacked, objective, eot)
        best.offer(every, attacked, seen.loss, fooled(seen.logits, labels, target))
        moved = attacked + 2.5 * size / steps * steepest(seen.gradient, "linf")
        attacked = (pixels + project(moved - pixels, size, "linf")).clamp(0, 1)
        if step == steps - 1:
            last = look(model, attacked, eot)
            best.offer(every, attacked, margin(last, labels, target), fooled(last, labels, target))
        yield AttackStep(step, seen.loss, best.pixels, seen.logits)
