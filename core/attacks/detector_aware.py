"""Attacks that fool the classifier and pass the detector: selective and orthogonal PGD, and feature hiding."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from core.attacks.attempts import check_counts
from core.attacks.defended_model import DefendedModel
from core.attacks.gradient import AttackStep, attack_loss, per_pixel, radius, steepest, within
from core.detection.scores import Evidence

# A scan that just passes here must also pass limits that were fitted on fewer scans, and in bfloat16.
PASSES = -0.05
SPREAD = 0.5  # of the bell around each clean scan, in standard deviations of the clean scans


class _Seen(NamedTuple):
    """gradient (B, C, H, W) to follow; loss (B,); passes (B,): what counts as won; logits (B, classes)."""

    gradient: Tensor
    loss: Tensor
    passes: Tensor
    logits: Tensor


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
    see = partial(_loss_and_gradient, model, labels=labels, target=target, orthogonal=False)
    yield from _shrinking_steps(see, model, pixels, eps, norm, steps, step_size)


def orthogonal(
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
    """The same, but each step leaves out what would move the other loss: it keeps what the last ones have won.

    Of the gradient that matters the part along the other one is removed (Bryniarski et al. 2022, section 4).
    """
    see = partial(_loss_and_gradient, model, labels=labels, target=target, orthogonal=True)
    yield from _shrinking_steps(see, model, pixels, eps, norm, steps, step_size)


def feature_hiding(
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
    """Raise how likely the answer is wrong, and how likely such features are among clean scans, both at once.

    The features are those that the defence decides by: the autoencoder's, and the detection scores. It knows neither
    thresholds nor what becomes of a flagged scan, so that it is no search for the border of this detector, but for what
    any detector by these features would take for clean. Their likelihood is that of a mixture with a bell at every
    clean scan (Yao et al. 2021, section 2.2, with as many components as there are scans).

    Parameters
    ----------
    model : DefendedModel
        The defence, whose features are differentiated.
    eps, norm, steps, step_size, target
        As for `core.attacks.gradient.pgd`; `step_size` is the mean one.

    Yields
    ------
    AttackStep
        `attacked` is the best attempt so far that fools the classifier; the last iterate if none does.
    """
    see = partial(_likelihood, model, labels=labels, target=target)
    yield from _shrinking_steps(see, model, pixels, eps, norm, steps, step_size)


def _shrinking_steps(
    see: Callable[[Tensor], _Seen],
    model: DefendedModel,
    pixels: Tensor,
    eps: float,
    norm: str,
    steps: int,
    step_size: float | None,
) -> Iterator[AttackStep]:
    """Follow what `see` says of (B, C, H, W) pixels, from the image itself, by steps that shrink to nothing.

    `attacked` is the attempt of highest loss so far among those that pass; the last iterate where none does.
    """
    if not isinstance(model, DefendedModel):
        raise ValueError("This attack needs the whole defence as its target.")
    check_counts(steps)
    size = radius(eps, norm)
    stride = 2.5 * size / steps if step_size is None else radius(step_size, norm, "The step size")
    attacked, best = pixels, pixels
    best_loss = torch.full((len(pixels),), -torch.inf, device=pixels.device)
    for step in range(steps + 1):
        seen = see(attacked)
        won = seen.passes & (seen.loss > best_loss)
        best, best_loss = torch.where(per_pixel(won), attacked, best), torch.where(won, seen.loss, best_loss)
        shown = torch.where(per_pixel(best_loss > -torch.inf), best, attacked)
        if step == steps:
            break
        moved = attacked + 2 * stride * (1 - step / steps) * steepest(seen.gradient, norm, attacked)
        attacked = within(moved, pixels, size, norm)
        if step < steps - 1:
            yield AttackStep(step, seen.loss, shown, seen.logits)
    yield AttackStep(steps - 1, seen.loss, shown, seen.logits)


def _loss_and_gradient(
    model: DefendedModel, attacked: Tensor, labels: Tensor, target: int | None, orthogonal: bool
) -> _Seen:
    with torch.enable_grad():
        attacked = attacked.detach().requires_grad_()
        evidence = model.evidence(attacked)
        alarm = model.alarm(evidence)
        answers = torch.stack([evidence.logits, evidence.denoised_logits])
        loss = torch.stack([attack_loss(logits, labels, target) for logits in answers])
        wrong = answers.argmax(2) != labels if target is None else answers.argmax(2) == target
        quieten = wrong.all(0) & (alarm >= PASSES)
        if orthogonal:
            fool = torch.autograd.grad(loss.amin(0).sum(), attacked, retain_graph=True)[0]
            hide = torch.autograd.grad(-alarm.sum(), attacked)[0]
            gradient = torch.where(per_pixel(quieten), _without(hide, fool), _without(fool, hide))
        else:
            objective = torch.where(quieten, -alarm, loss.amin(0))
            gradient = torch.autograd.grad(objective.sum(), attacked)[0]
    return _Seen(gradient, loss[0].detach(), wrong[0] & (alarm < PASSES), evidence.logits.detach())


def _without(gradient: Tensor, other: Tensor) -> Tensor:
    """Return a gradient (B, C, H, W) less its part along another one: what is left doesn't move that other loss."""
    along, across = gradient.flatten(1), other.flatten(1)
    share = (along * across).sum(1) / across.square().sum(1).clamp_min(1e-30)
    return gradient - per_pixel(share) * other


def _likelihood(model: DefendedModel, attacked: Tensor, labels: Tensor, target: int | None) -> _Seen:
    clean = {name: torch.tensor(values, device=attacked.device) for name, values in model.clean_scores.items()}
    with torch.enable_grad():
        attacked = attacked.detach().requires_grad_()
        evidence = model.evidence(attacked)
        loss = _log_chance(evidence, labels, target) + hidden(evidence, clean)
        gradient = torch.autograd.grad(loss.sum(), attacked)[0]
    answer = evidence.logits.argmax(1)
    fooled = answer != labels if target is None else answer == target
    return _Seen(gradient, loss.detach(), fooled, evidence.logits.detach())


def _log_chance(evidence: Evidence, labels: Tensor, target: int | None) -> Tensor:
    """(B,) logarithm of the probability that an answer is wrong, or the target: of scan and denoised copy the less.

    It is bounded, unlike the cross-entropy: what is surely fooled has only its features left to improve.
    """
    chances = []
    for logits in (evidence.logits, evidence.denoised_logits):
        wanted = torch.ones_like(logits, dtype=torch.bool).scatter(1, labels.unsqueeze(1), False)
        if target is not None:
            wanted = torch.zeros_like(wanted)
            wanted[:, target] = True
        chances.append(logits.log_softmax(1).masked_fill(~wanted, -torch.inf).logsumexp(1))
    return torch.stack(chances).amin(0)


def hidden(evidence: Evidence, clean: dict[str, Tensor]) -> Tensor:
    """Return (B,) the log-likelihood of a scan's features among clean ones, but for a constant; differentiable.

    clean: score → (R,) its values on clean scans.
    """
    names = [name for name in clean if name in evidence.scores]
    scores, references = (
        torch.stack([values[name].clamp_min(1e-12).log() for name in names], dim=1)
        for values in (evidence.scores, clean)
    )
    spread = SPREAD * references.std(0).clamp_min(1e-6)
    apart = ((scores.unsqueeze(1) - references) / spread).square().sum(2)
    # The nearest training scan stands for the autoencoder's features: next to it the others hardly count.
    return (-apart / 2).logsumexp(1) - (evidence.scope_distance / SPREAD).square() / 2
