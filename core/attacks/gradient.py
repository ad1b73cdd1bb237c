"""FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018), in the ℓ∞, ℓ2 and ℓ1 balls."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

NORMS = ("linf", "l2", "l1")
HALVINGS = 30  # after which float32 tells no difference
Model = Callable[[Tensor], Tensor]  # (B, C, H, W) in [0, 1] → (B, classes) logits
Loss = Callable[[Tensor], Tensor]  # (B, classes) logits → (B,)


@dataclass(frozen=True)
class AttackStep:
    """One step of an attack.

    index 0, 1, …; loss (B,) what the attack raises, of each image before the step; attacked (B, C, H, W) in [0, 1]
    after it; logits (B, classes) of the model before the step, None where the attack didn't ask it.
    """

    index: int
    loss: Tensor
    attacked: Tensor
    logits: Tensor | None = None


class LossGradient(NamedTuple):
    """loss (B,), its gradient (B, C, H, W) at the pixels, and the model's logits (B, classes) there."""

    loss: Tensor
    gradient: Tensor
    logits: Tensor


def radius(eps: float, norm: str, name: str = "ε") -> float:
    """Return ε as given to a command in pixel units: n/255 for ℓ∞, plain for ℓ2 and ℓ1.

    ValueError where it is out of range, or there is no such norm; `name` is what the sentence calls it.
    """
    if norm not in NORMS:
        raise ValueError(f"There is no norm named {norm!r}; choose one of: {', '.join(NORMS)}.")
    if not 0 < eps <= 255:
        raise ValueError(f"{name} must be above 0 and at most 255, not {eps:g}.")
    return eps / 255 if norm == "linf" else eps


def fgsm(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    eot: int = 1,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """One step of full length along the gradient, from the image itself. Parameters as for `pgd`."""
    size = radius(eps, norm)
    seen = loss_and_gradient(model, pixels, partial(attack_loss, labels=labels, target=target), eot)
    attacked = within(pixels + size * steepest(seen.gradient, norm, pixels), pixels, size, norm)
    yield AttackStep(0, seen.loss, attacked, seen.logits)


def pgd(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: torch.Generator,
    norm: str = "linf",
    steps: int = 40,
    step_size: float | None = None,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    start: Tensor | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """Projected gradient ascent on the cross-entropy, from a random start in the ball.

    Parameters
    ----------
    model : callable
        (B, C, H, W) in [0, 1] → (B, classes) logits; differentiable.
    pixels, labels : Tensor
        (B, C, H, W) in [0, 1]; (B,) class indices to get away from.
    eps : float
        Radius: in 1/255 for ℓ∞, plain for ℓ2 and ℓ1.
    generator : torch.Generator
        Source of the random starts.
    step_size : float, optional
        In the units of `eps`; by default 2.5 · eps / steps (Madry et al. 2018, section 5).
    restarts : int
        Independent starts; each image keeps the attempt with the highest loss.
    eot : int
        Gradient is averaged over so many calls of a randomised model (Athalye et al. 2018).
    target : int, optional
        Class to drive every image to; by default the attack is content with any class but the label.
    start : Tensor, optional
        (B, C, H, W) where the first attempt begins, in place of a random point.

    Yields
    ------
    AttackStep
        restarts × steps of them; the last one's `attacked` is the result.

    Raises
    ------
    ValueError
        A parameter is out of range; one sentence.
    """
    if steps < 1 or restarts < 1 or eot < 1:
        raise ValueError("Steps, restarts and EOT samples must each be at least 1.")
    size = radius(eps, norm)
    stride = 2.5 * size / steps if step_size is None else radius(step_size, norm, "The step size")
    objective = partial(attack_loss, labels=labels, target=target)
    best, best_loss = pixels, torch.full((len(pixels),), -torch.inf, device=pixels.device)
    for restart in range(restarts):
        if start is None or restart > 0:
            attacked = (pixels + random_start(pixels, size, norm, generator)).clamp(0, 1)
        else:
            attacked = start
        for step in range(steps):
            seen = loss_and_gradient(model, attacked, objective, eot)
            attacked = within(attacked + stride * steepest(seen.gradient, norm, attacked), pixels, size, norm)
            shown = attacked
            if step == steps - 1 and restarts > 1:
                best, best_loss = _better(model, attacked, labels, target, best, best_loss)
                shown = best
            yield AttackStep(restart * steps + step, seen.loss, shown, seen.logits)


def steepest(gradient: Tensor, norm: str, attacked: Tensor | None = None) -> Tensor:
    """Return the direction of unit length in `norm` along which a linear loss grows fastest.

    For ℓ1 that of the top 1 % of pixels (Tramèr & Boneh 2019, section 4): among those that can still move that way
    from where the image is, if `attacked` (B, C, H, W) says so. The black around a scan would take most steps in vain.
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l1" and attacked is not None:
        stuck = ((gradient < 0) & (attacked <= 0)) | ((gradient > 0) & (attacked >= 1))
        gradient = gradient.masked_fill(stuck, 0)
    flat = gradient.flatten(1)
    if norm == "l1":
        kept = flat.abs().topk(max(1, flat.shape[1] // 100), dim=1)
        flat = torch.zeros_like(flat).scatter(1, kept.indices, flat.gather(1, kept.indices).sign())
        return (flat / flat.abs().sum(1, keepdim=True).clamp_min(1e-12)).view_as(gradient)
    return (flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)).view_as(gradient)


def within(points: Tensor, pixels: Tensor, size: float, norm: str) -> Tensor:
    """Return points (B, C, H, W) brought into the ball of radius `size` (pixel units) around `pixels`, and into [0, 1].

    For ℓ∞ and ℓ1 the nearest point of both.
    """
    delta = points - pixels
    delta = _project_l1_in_range(delta, pixels, size) if norm == "l1" else project(delta, size, norm)
    return (pixels + delta).clamp(0, 1)


def project(delta: Tensor, size: float, norm: str) -> Tensor:
    """Return the nearest point of the ball of radius `size` (pixel units) around 0."""
    if norm == "linf":
        return delta.clamp(-size, size)
    flat = delta.flatten(1)
    if norm == "l2":
        return (flat * (size / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)).view_as(delta)
    return _project_l1(flat, size).view_as(delta)


def random_start(pixels: Tensor, size: float, norm: str, generator: torch.Generator) -> Tensor:
    """Return a random point of the ball, shaped like `pixels`; uniform in it for ℓ∞."""
    noise = torch.rand(pixels.shape, generator=generator).to(pixels.device) * 2 - 1
    return size * noise if norm == "linf" else project(size * noise, size, norm)


def _project_l1(flat: Tensor, size: float) -> Tensor:
    """Euclidean projection onto the ℓ1 ball (Duchi et al. 2008, figure 1)."""
    magnitudes = flat.abs()
    descending = magnitudes.sort(dim=1, descending=True).values
    ranks = torch.arange(1, flat.shape[1] + 1, device=flat.device)
    excess = descending.cumsum(1) - size
    active = (descending * ranks > excess).sum(1, keepdim=True)
    shrink = (excess.gather(1, active - 1) / active).clamp_min(0)
    return flat.sign() * (magnitudes - shrink).clamp_min(0)


def _project_l1_in_range(delta: Tensor, pixels: Tensor, size: float) -> Tensor:
    """The nearest change in the ℓ1 ball that leaves `pixels` in [0, 1] (Croce & Hein 2021, section 3).

    Projecting onto the one and then the other gives away most of the radius where many pixels are black.
    """
    change = delta.flatten(1)
    room = torch.where(change > 0, 1 - pixels.flatten(1), pixels.flatten(1))
    sizes = torch.minimum(change.abs(), room)
    low, high = torch.zeros_like(sizes[:, :1]), change.abs().amax(1, keepdim=True)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        outside = torch.minimum((change.abs() - middle).clamp_min(0), room).sum(1, keepdim=True) > size
        low, high = torch.where(outside, middle, low), torch.where(outside, high, middle)
    shrunk = torch.minimum((change.abs() - high).clamp_min(0), room)
    sizes = torch.where(sizes.sum(1, keepdim=True) > size, shrunk, sizes)
    return (change.sign() * sizes).view_as(delta)


def attack_loss(logits: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
    """Return (B,) what an attack raises: cross-entropy of the label, or minus that of the target class.

    ValueError where there is no such target.
    """
    if target is None:
        return cross_entropy(logits, labels, reduction="none")
    if not 0 <= target < logits.shape[1]:
        raise ValueError(f"The target class must be between 0 and {logits.shape[1] - 1}, not {target}.")
    return -cross_entropy(logits, torch.full_like(labels, target), reduction="none")


def loss_and_gradient(model: Model, pixels: Tensor, loss: Loss, eot: int = 1) -> LossGradient:
    """Return a loss at `pixels` with its gradient, both averaged over `eot` calls of the model (EOT)."""
    calls = []
    with torch.enable_grad():
        pixels = pixels.detach().requires_grad_()
        for _ in range(eot):
            logits = model(pixels)
            value = loss(logits)
            calls.append((value.detach(), torch.autograd.grad(value.sum(), pixels)[0], logits.detach()))
    return LossGradient(*(torch.stack(parts).mean(0) for parts in zip(*calls)))


def per_pixel(values: Tensor) -> Tensor:
    """Return (B,) values of images as (B, 1, 1, 1), which fit their pixels."""
    return values.view(-1, 1, 1, 1)


@torch.no_grad()
def _better(
    model: Model, attacked: Tensor, labels: Tensor, target: int | None, best: Tensor, best_loss: Tensor
) -> tuple[Tensor, Tensor]:
    loss = attack_loss(model(attacked), labels, target)
    won = loss > best_loss
    return torch.where(per_pixel(won), attacked, best), torch.where(won, loss, best_loss)
