"""An attack that fools the classifier and passes the defence: selective gradient descent (Bryniarski et al. 2022)."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from core.attacks.defended_model import DefendedModel
from core.attacks.gradient import AttackStep, attack_loss, per_pixel, project, radius, steepest

# A scan that just passes here must also pass limits that were fitted on fewer scans, and in bfloat16.
PASSES = -0.05


def detector_aware(
    model: DefendedModel,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 40,
    step_size: float | None = None,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """Raise the classification loss until the classifier is fooled, then lower the defence's alarm, step by step.

    Selective: each step follows the one gradient that matters at that point, so that the two can't cancel out
    (Bryniarski et al. 2022, section 4). The scan counts as fooled once its denoised copy is, too: only then can the
    decision look stable. Until then the smaller of the two losses is raised, so that both cross the border together,
    where a flagged answer is borderline and kept. It starts at the image itself, as a random start alone
    would be noticed, and its steps shrink in proportion to what is left of them.

    Parameters
    ----------
    model : DefendedModel
        The defence, whose scores are differentiated too.
    eps, norm, steps, step_size, target
        As for `core.attacks.gradient.pgd`; `step_size` is the mean one.

    Yields
    ------
    AttackStep
        `attacked` is the most confident attempt so far that isn't flagged, or is kept; the last iterate if none.
    """
    if not isinstance(model, DefendedModel):
        raise ValueError("The detector-aware attack needs the whole defence as its target.")
    if steps < 1:
        raise ValueError("Steps must be at least 1.")
    size = radius(eps, norm)
    stride = 2.5 * size / steps if step_size is None else radius(step_size, norm, "The step size")
    attacked, best = pixels, pixels
    best_loss = torch.full((len(pixels),), -torch.inf, device=pixels.device)
    for step in range(steps + 1):
        seen = _loss_and_gradient(model, attacked, labels, target)
        won = seen.passes & (seen.loss > best_loss)
        best, best_loss = torch.where(per_pixel(won), attacked, best), torch.where(won, seen.loss, best_loss)
        shown = torch.where(per_pixel(best_loss > -torch.inf), best, attacked)
        if step == steps:
            break
        moved = attacked + 2 * stride * (1 - step / steps) * steepest(seen.gradient, norm)
        attacked = (pixels + project(moved - pixels, size, norm)).clamp(0, 1)
        if step < steps - 1:
            yield AttackStep(step, seen.loss, shown, seen.logits)
    yield AttackStep(steps - 1, seen.loss, shown, seen.logits)


class _Seen(NamedTuple):
    """gradient (B, C, H, W) to follow; loss (B,); passes (B,): fools and isn't overruled; logits (B, classes)."""

    gradient: Tensor
    loss: Tensor
    passes: Tensor
    logits: Tensor


def _loss_and_gradient(model: DefendedModel, attacked: Tensor, labels: Tensor, target: int | None) -> _Seen:
    with torch.enable_grad():
        attacked = attacked.detach().requires_grad_()
        evidence = model.evidence(attacked)
        alarm = model.alarm(evidence)
        answers = torch.stack([evidence.logits, evidence.denoised_logits])
        loss = torch.stack([attack_loss(logits, labels, target) for logits in answers])
        wrong = answers.argmax(2) != labels if target is None else answers.argmax(2) == target
        objective = torch.where(wrong.all(0) & (alarm >= PASSES), -alarm, loss.amin(0))
        gradient = torch.autograd.grad(objective.sum(), attacked)[0]
    return _Seen(gradient, loss[0].detach(), wrong[0] & (alarm < PASSES), evidence.logits.detach())
