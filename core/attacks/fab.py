"""FAB: the fast adaptive boundary attack, which looks for the smallest perturbation (Croce & Hein 2020, ICML, FAB)."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from core.attacks.attempts import (
    Generators,
    check_counts,
    checked_radius,
    draw,
    lengths,
    look,
    margin,
    per_image_generators,
    put,
    refuse_target,
    run_restarts,
)
from core.attacks.gradient import AttackStep, Model, per_pixel, project
from core.attacks.minimum_norm import SmallestPerturbation

OVERSHOOT, ALPHA_MAX, BACKWARD = 1.05, 0.1, 0.9  # η, α_max and β of algorithm 1


def fab(
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
    minimise: bool = False,
    **_: object,
) -> Iterator[AttackStep]:
    """Step onto the nearest boundary's linear approximation, drawn back towards the image; parameters as for `pgd`.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Starts every attempt after the first, which starts at the image itself.
    norm : str
        "linf" or "l2".
    minimise : bool
        Look on for a smaller perturbation where one inside the ball has been found; by default the image is done.

    Yields
    ------
    AttackStep
        At most restarts × steps of them; `attacked` is the smallest perturbation that fools, or the highest margin
        where none does, projected onto the ball where it is larger than ε; `loss` is the margin.

    Raises
    ------
    ValueError
        A parameter is out of range, or there is a target; one sentence.
    """
    check_counts(steps, restarts, eot)
    size = checked_radius(eps, norm, ("linf", "l2"), "FAB")
    refuse_target(target, "FAB")
    generators = per_image_generators(generator, len(pixels))

    def attempt(rows: Tensor, first: bool) -> Iterator[AttackStep]:
        begin = images = pixels[rows]
        if not first:
            noise = 2 * draw([generators[row] for row in rows.tolist()], images.shape[1:], images.device) - 1
            begin = (images + project(size / 2 * noise, size / 2, norm)).clamp(0, 1)
        smallest = SmallestPerturbation(images, labels[rows], size, norm)
        return _attempt(model, smallest, begin, steps, eot, minimise)

    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device), True)
        return
    attempts = [partial(attempt, first=number == 0) for number in range(restarts)]
    yield from run_restarts(attempts, model, pixels, labels, eot=eot)


def _attempt(
    model: Model, smallest: SmallestPerturbation, begin: Tensor, steps: int, eot: int, minimise: bool
) -> Iterator[AttackStep]:
    now, rows, norm = begin, smallest.rows, smallest.norm
    loss = logits = None
    for step in range(steps):
        images, here, row_labels = smallest.pixels[rows], now[rows], smallest.labels[rows]
        plane = nearest_plane(model, here, row_labels, norm, eot)
        loss, logits = put(loss, rows, margin(plane.logits, row_labels)), put(logits, rows, plane.logits)
        smallest.offer(here, plane.logits, rows)
        moved = _move(here, images, plane, norm)
        won = smallest.offer(moved, look(model, moved, eot), rows)
        now = put(now, rows, torch.where(per_pixel(won), images + BACKWARD * (moved - images), moved))
        yield AttackStep(step, loss, smallest.found(), logits)
        if not minimise:
            rows = smallest.outside()
        if not len(rows):
            return


class Plane(NamedTuple):
    """The nearest boundary, made linear: value (B,) of (wrong logit − label's), gradient (B, C, H, W); logits."""

    value: Tensor
    gradient: Tensor
    logits: Tensor


def nearest_plane(model: Model, points: Tensor, labels: Tensor, norm: str, eot: int = 1) -> Plane:
    """Return the boundary to a wrong class whose linear approximation is nearest in `norm` (equation 5)."""
    calls = [_differences(model, points, labels) for _ in range(eot)]
    values, gradients, logits = (torch.stack(parts).mean(0) for parts in zip(*calls))
    dual = gradients.flatten(2).norm(p=1 if norm == "linf" else 2, dim=2)
    chosen = (values.abs() / dual.clamp_min(1e-12)).argmin(1)
    rows = torch.arange(len(points), device=points.device)
    return Plane(values[rows, chosen], gradients[rows, chosen], logits)


def _differences(model: Model, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        logits = model(points)
        classes = torch.arange(logits.shape[1], device=logits.device).expand_as(logits)
        wrong = classes[classes != labels.unsqueeze(1)].view(len(logits), -1)
        values = logits.gather(1, wrong) - logits.gather(1, labels.unsqueeze(1))
        gradients = [
            torch.autograd.grad(values[:, column].sum(), points, retain_graph=True)[0]
            for column in range(values.shape[1])
        ]
    return values.detach(), torch.stack(gradients, 1), logits.detach()


def _move(here: Tensor, pixels: Tensor, plane: Plane, norm: str) -> Tensor:
    """The convex step of equation 9, from the current point and from the image, both onto the plane."""
    from_image = plane.value + (plane.gradient * (pixels - here)).flatten(1).sum(1)
    step = onto_plane(here, plane.gradient, plane.value, norm)
    whole = onto_plane(pixels, plane.gradient, from_image, norm)
    near, far = lengths(step, norm), lengths(whole, norm)
    alpha = per_pixel((near / (near + far).clamp_min(1e-12)).clamp(max=ALPHA_MAX))
    return ((1 - alpha) * (here + OVERSHOOT * step) + alpha * (pixels + OVERSHOOT * whole)).clamp(0, 1)


def onto_plane(points: Tensor, gradient: Tensor, value: Tensor, norm: str) -> Tensor:
    """Return the shortest way inside [0, 1] to the plane on which `value` + gradient · way is 0 (section 3.1).

    Each pixel moves at its own rate until it meets the edge of the range: all alike for ℓ∞, by its gradient for ℓ2. The
    plane is reached where the sum of what they gain, piecewise linear in time, equals |value|. Where the plane can't be
    reached inside the range, every pixel goes to its edge.

    Parameters
    ----------
    points, gradient : Tensor
        (B, C, H, W).
    value : Tensor
        (B,) of the linear function at `points`.

    Returns
    -------
    Tensor
        (B, C, H, W) to be added to `points`.
    """
    flat, slope = points.flatten(1).double(), gradient.flatten(1).double()
    direction = -value.double().sign().unsqueeze(1) * slope.sign()
    room = torch.where(direction > 0, 1 - flat, flat)
    steep = slope.abs()
    rate = torch.ones_like(steep) if norm == "linf" else steep
    ends, order = (room / rate.clamp_min(1e-30)).sort(dim=1)
    gained = (steep * room).gather(1, order).cumsum(1)
    speed = (steep * rate).gather(1, order)
    left = (speed.sum(1, keepdim=True) - speed.cumsum(1)).clamp_min(0)
    need = value.double().abs().unsqueeze(1)
    place = torch.searchsorted(gained + ends * left, need).clamp(max=flat.shape[1] - 1)
    before = (place - 1).clamp_min(0)
    start = place == 0
    done = torch.where(start, 0, gained.gather(1, before))
    pace = torch.where(start, speed.sum(1, keepdim=True), left.gather(1, before))
    time = ((need - done) / pace.clamp_min(1e-30)).minimum(ends[:, -1:])
    return (direction * (time * rate).minimum(room)).view_as(points).to(points.dtype)
