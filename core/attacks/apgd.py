"""APGD: projected gradient ascent that sets its own step size (Croce & Hein 2020, section 3)."""

from collections.abc import Iterator
from functools import partial
from math import ceil
from typing import Protocol

import torch
from torch import Tensor

from core.attacks.attempts import (
    Best,
    Generators,
    check_counts,
    checked_radius,
    fooled,
    look,
    per_image_generators,
    put,
    run_restarts,
)
from core.attacks.gradient import (
    AttackStep,
    Model,
    attack_loss,
    loss_and_gradient,
    per_pixel,
    random_start,
    steepest,
    within,
)

LOSSES = ("ce", "dlr")


class Objective(Protocol):
    """(B, classes) logits and (B,) labels → (B,) what the attack raises."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor: ...


def apgd(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Generators,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    loss: str = "ce",
    start: Tensor | None = None,
    until_fooled: bool = False,
    **_: object,
) -> Iterator[AttackStep]:
    """Gradient ascent with momentum, whose step halves where progress stalls; parameters as for `pgd`.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Source of the random starts.
    norm : str
        "linf" or "l2".
    loss : str
        "ce", cross-entropy, or "dlr", the difference of logits ratio, which no scaling of the logits can hide.
    start : Tensor, optional
        (B, C, H, W) where the first attempt begins, in place of a random point.
    until_fooled : bool
        Leave an image alone as soon as it is fooled; by default its loss is driven as high as it gets.

    Yields
    ------
    AttackStep
        restarts × steps of them, fewer with `until_fooled`; `attacked` is each image's best attempt so far.

    Raises
    ------
    ValueError
        A parameter is out of range, or DLR has fewer than three classes or a target; one sentence.
    """
    check_counts(steps, restarts, eot)
    size = checked_radius(eps, norm, ("linf", "l2"), "APGD")
    objective = _objective(loss, target)
    generators = per_image_generators(generator, len(pixels))

    def attempt(rows: Tensor, first: bool) -> Iterator[AttackStep]:
        images = pixels[rows]
        if first and start is not None:
            begin = start[rows]
        else:
            noise = [random_start(pixels[row : row + 1], size, norm, generators[row]) for row in rows.tolist()]
            begin = (images + torch.cat(noise)).clamp(0, 1)
        return _ascent(
            model,
            images,
            labels[rows],
            begin,
            objective,
            until_fooled,
            size=size,
            norm=norm,
            steps=steps,
            eot=eot,
            target=target,
        )

    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device), True)
        return
    attempts = [partial(attempt, first=number == 0) for number in range(restarts)]
    yield from run_restarts(attempts, model, pixels, labels, target=target, eot=eot, until_fooled=until_fooled)


def checkpoints(steps: int) -> list[int]:
    """Return the steps at which progress is judged (Croce & Hein 2020, section 3.2)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return [ceil(round(share * steps, 9)) for share in shares if share <= 1]


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (B,) the difference of logits ratio: (best wrong − label) / (largest − third largest) (section 4.1).

    ValueError where there are fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise ValueError("The DLR loss needs at least three classes; choose the loss “ce” for this classifier.")
    largest = logits.topk(3, dim=1).values
    wrong = logits.scatter(1, labels.unsqueeze(1), -torch.inf).amax(1)
    lead = wrong - logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    return lead / (largest[:, 0] - largest[:, 2]).clamp_min(1e-12)


def _objective(name: str, target: int | None) -> Objective:
    if name not in LOSSES:
        raise ValueError(f"There is no loss named {name!r}; choose one of: {', '.join(LOSSES)}.")
    if name == "ce":
        return partial(attack_loss, target=target)
    if target is not None:
        raise ValueError("The DLR loss takes no target class; choose the loss “ce” for one.")
    return dlr


def _ascent(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    begin: Tensor,
    objective: Objective,
    until_fooled: bool,
    *,
    size: float,
    norm: str,
    steps: int,
    eot: int,
    target: int | None,
) -> Iterator[AttackStep]:
    """One attempt from `begin`; of algorithm 1, now is x(k), before x(k−1), top x_max and the step size η."""
    count, checks = len(pixels), checkpoints(steps)
    every = torch.arange(count, device=pixels.device)
    step_sizes = _StepSizes(count, 2 * size, pixels.device)
    best, now, before = Best.start(begin), begin, begin
    loss = gradient = logits = top = top_gradient = None
    for step in range(steps):
        rows = best.unfooled() if until_fooled else every
        row_labels = labels[rows]
        seen = loss_and_gradient(model, now[rows], partial(objective, labels=row_labels), eot)
        loss, gradient = put(loss, rows, seen.loss), put(gradient, rows, seen.gradient)
        logits = put(logits, rows, seen.logits)
        best.offer(rows, now[rows], seen.loss, fooled(seen.logits, row_labels, target))
        higher = per_pixel(step_sizes.note(loss))
        top = now if top is None else torch.where(higher, now, top)
        top_gradient = gradient if top_gradient is None else torch.where(higher, gradient, top_gradient)
        if step in checks[1:]:
            stalled = per_pixel(step_sizes.judge(step))
            now, before = torch.where(stalled, top, now), torch.where(stalled, top, before)
            gradient = torch.where(stalled, top_gradient, gradient)
        ahead = within(now + per_pixel(step_sizes.size) * steepest(gradient, norm), pixels, size, norm)
        pull = 1 if step == 0 else 0.75
        now, before = within(now + pull * (ahead - now) + (1 - pull) * (now - before), pixels, size, norm), now
        if step == steps - 1:
            last = look(model, now[rows], eot)
            best.offer(rows, now[rows], objective(last, row_labels), fooled(last, row_labels, target))
        yield AttackStep(step, loss, best.pixels, logits)
        if until_fooled and best.fooled.all():
            return


class _StepSizes:
    """Each image's step size (B,) in pixel units, and what decides whether to halve it."""

    def __init__(self, count: int, size: float, device: torch.device) -> None:
        self.size = torch.full((count,), size, device=device)
        self._loss = self._top = self._top_then = torch.full((count,), -torch.inf, device=device)
        self._rises = torch.zeros(count, device=device)
        self._halved = torch.ones(count, dtype=torch.bool, device=device)
        self._since = 0

    def note(self, loss: Tensor) -> Tensor:
        """Take note of the loss (B,) at x(k); return (B,) whether it is the highest so far."""
        higher = loss > self._top
        if torch.isfinite(self._loss).any():
            self._rises = self._rises + (loss > self._loss)
        self._loss, self._top = loss, torch.where(higher, loss, self._top)
        return higher

    def judge(self, step: int) -> Tensor:
        """At a checkpoint, halve the step size where either condition of section 3.2 holds; return (B,) where."""
        too_few_rises = self._rises < 0.75 * (step - self._since)
        no_gain = ~self._halved & (self._top == self._top_then)
        self._halved = too_few_rises | no_gain
        self.size = torch.where(self._halved, self.size / 2, self.size)
        self._rises, self._top_then, self._since = torch.zeros_like(self._rises), self._top, step
        return self._halved
