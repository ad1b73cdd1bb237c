"""DeepFool: from one linearised boundary to the next until a class gives in (Moosavi-Dezfooli et al. 2016)."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from core.attacks.attempts import check_counts, checked_radius, look, refuse_target
from core.attacks.gradient import AttackStep, LossGradient, Model, loss_and_gradient, per_pixel
from core.attacks.minimum_norm import SmallestPerturbation

CANDIDATES = 10  # classes that are looked at, those with the highest logits
OVERSHOOT = 0.02  # η of the paper
BEYOND = 1e-4  # added to every distance, as rounding could end a way of the exact length before the boundary


def deepfool_yields(steps: int, norm: str, classes: int) -> int:
    """Return how many steps DeepFool yields at most: it asks once for every class that it could go to."""
    return 1 + steps * (min(classes, CANDIDATES) - 1) + 1


def deepfool(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 50,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """Step onto the nearest linearised boundary, and a little further, until another class wins.

    Parameters as for `pgd`. It draws nothing, so that it is the same at every restart.

    Parameters
    ----------
    norm : str
        "linf" or "l2".

    Yields
    ------
    AttackStep
        One a call of the model, which is asked once for each class, and a last one with the result; it ends early where
        every image is fooled. `loss` is the margin. A perturbation that is larger than ε is projected onto the ball.

    Raises
    ------
    ValueError
        A parameter is out of range, or there is a target; one sentence.
    """
    check_counts(steps, restarts, eot)
    size = checked_radius(eps, norm, ("linf", "l2"), "DeepFool")
    refuse_target(target, "DeepFool")
    smallest = SmallestPerturbation(pixels, labels, size, norm)
    points, logits = pixels, look(model, pixels, eot)
    smallest.offer(points, logits)
    yield smallest.asked(0, points, logits)
    answer, *others = logits.topk(min(CANDIDATES, logits.shape[1]), dim=1).indices.unbind(1)
    index, change = 1, torch.zeros_like(pixels)
    for _step in range(steps):
        boundaries: list[LossGradient] = []
        for other in others:
            seen = loss_and_gradient(model, points, partial(_lead, other=other, answer=answer), eot)
            boundaries.append(seen)
            yield smallest.asked(index, points, seen.logits)
            index += 1
            if len(boundaries) == 1:
                won = smallest.offer(points, seen.logits)
                if won.all():
                    yield smallest.result(index, model, eot)
                    return
        change = change + torch.where(per_pixel(won), 0, _way_onto_nearest(boundaries, norm))
        points = (pixels + (1 + OVERSHOOT) * change).clamp(0, 1)
    smallest.offer(points, look(model, points, eot))
    yield smallest.result(index, model, eot)


def _lead(logits: Tensor, other: Tensor, answer: Tensor) -> Tensor:
    """(B,) the logit of one class minus that of the first answer; both (B,) class indices."""
    return (logits.gather(1, other.unsqueeze(1)) - logits.gather(1, answer.unsqueeze(1))).squeeze(1)


def _way_onto_nearest(boundaries: Sequence[LossGradient], norm: str) -> Tensor:
    """(B, C, H, W) the shortest way onto the nearest of the linearised boundaries (algorithm 2)."""
    leads, gradients = torch.stack([one.loss for one in boundaries]), torch.stack([one.gradient for one in boundaries])
    flat = gradients.flatten(2)
    dual = (flat.abs().sum(2) if norm == "linf" else flat.square().sum(2).sqrt()) + 1e-8
    distances, nearest = (leads.abs() / dual).min(0)
    rows = torch.arange(len(nearest), device=nearest.device)
    gradient, length = gradients[nearest, rows], distances + BEYOND
    if norm == "linf":
        return per_pixel(length) * gradient.sign()
    return per_pixel(length / dual[nearest, rows]) * gradient
