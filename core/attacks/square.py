"""Square attack: random search with squares, on the model's answers alone (Andriushchenko et al. 2020)."""

from collections.abc import Iterator

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
    put,
    run_restarts,
)
from core.attacks.gradient import AttackStep, Model, per_pixel, project

SHARES = {"linf": 0.8, "l2": 0.1}  # of the image that the first square covers: p of sections 5.1 and 5.2
HALVED_AT = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)  # of 10 000 queries


def square(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Generators,
    norm: str = "linf",
    steps: int = 5000,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    **_: object,
) -> Iterator[AttackStep]:
    """Change one square after the other, and keep what raises the margin; parameters as for `pgd`.

    The first query is the image itself, the second stripes (ℓ∞) or a grid of bumps (ℓ2), each later one a square.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Source of the stripes, places and signs.
    norm : str
        "linf" or "l2".
    steps : int
        Queries to the model an image; the squares shrink on a schedule stretched to their number.

    Yields
    ------
    AttackStep
        One a query, at most restarts × steps; `loss` is the margin at the point asked, `attacked` the best so far.

    Raises
    ------
    ValueError
        A parameter is out of range; one sentence.
    """
    check_counts(steps, restarts, eot)
    size = checked_radius(eps, norm, tuple(SHARES), "The Square attack")
    generators = per_image_generators(generator, len(pixels))

    def attempt(rows: Tensor) -> Iterator[AttackStep]:
        own = [generators[row] for row in rows.tolist()]
        return _search(model, pixels[rows], labels[rows], own, size, norm, steps, eot, target)

    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device))
        return
    yield from run_restarts([attempt] * restarts, model, pixels, labels, target=target, eot=eot)


def square_side(query: int, steps: int, height: int, width: int, norm: str) -> int:
    """Return the side of the square in pixels at a query; odd for ℓ2, whose bumps have a centre."""
    halvings = sum(query * 10_000 // steps > start for start in HALVED_AT)
    side = max(1, round((SHARES[norm] * 0.5**halvings * height * width) ** 0.5))
    if norm == "l2":
        return min(max(3, side + 1 - side % 2), min(height, width) - 1 + min(height, width) % 2)
    return min(side, height, width)


def _search(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    generators: list[torch.Generator],
    size: float,
    norm: str,
    steps: int,
    eot: int,
    target: int | None,
) -> Iterator[AttackStep]:
    _, channels, height, width = pixels.shape
    begin, change = (_stripes, _squares) if norm == "linf" else (_grid, _bumps)
    opening = begin(pixels, generators, size)
    chances = draw(generators, (steps, 5 + channels), pixels.device)
    best, rows = Best.start(pixels), torch.arange(len(pixels), device=pixels.device)
    loss = logits = None
    for query in range(steps):
        images, row_labels = pixels[rows], labels[rows]
        if query < 2:
            asked = (images, opening[rows])[query]
        else:
            side = square_side(query, steps, height, width, norm)
            asked = change(best.pixels[rows], images, chances[rows, query], side, size)
        answer = look(model, asked, eot)
        gain, won = margin(answer, row_labels, target), fooled(answer, row_labels, target)
        loss, logits = put(loss, rows, gain), put(logits, rows, answer)
        # The stripes are where the search begins, whether or not they are better than the image itself.
        (best.replace if query == 1 else best.offer)(rows, asked, gain, won)
        yield AttackStep(query, loss, best.pixels, logits)
        if won.any():
            rows = best.unfooled()
        if not len(rows):
            return


def _stripes(pixels: Tensor, generators: list[torch.Generator], size: float) -> Tensor:
    """Vertical stripes of ±ε (section 3.3)."""
    _, channels, _, width = pixels.shape
    return (pixels + size * _signs(draw(generators, (channels, 1, width), pixels.device))).clamp(0, 1)


def _squares(best: Tensor, pixels: Tensor, chances: Tensor, side: int, size: float) -> Tensor:
    """A square of ±ε at a random place of each image (algorithm 2)."""
    _, channels, height, width = pixels.shape
    top, left = (_places(chances[:, axis], length - side) for axis, length in enumerate((height, width)))
    inside = _span(top, side, height)[:, None, :, None] & _span(left, side, width)[:, None, None, :]
    shift = size * _signs(chances[:, 2 : 2 + channels, None, None])
    moved = torch.where(inside, (pixels + shift).clamp(0, 1), best)
    # A square that is there already would waste the query, and half of all small ones are: take the other sign.
    idle = (moved == best).flatten(1).all(1)
    if idle.any():
        other = torch.where(inside, (pixels - shift).clamp(0, 1), best)
        moved = torch.where(per_pixel(idle), other, moved)
    return moved


def _grid(pixels: Tensor, generators: list[torch.Generator], size: float) -> Tensor:
    """A grid of bumps five wide, of random signs (section 3.4)."""
    _, channels, height, width = pixels.shape
    side = max(1, min(height, width) // 5)
    rows, columns = height // side, width // side
    signs = _signs(draw(generators, (channels, rows, columns), pixels.device))
    tiles = torch.kron(signs, _bump(side, side).to(pixels.device))
    delta = torch.nn.functional.pad(tiles, (0, width - columns * side, 0, height - rows * side))
    scale = size / delta.flatten(1).norm(dim=1).clamp_min(1e-12)
    return (pixels + delta * per_pixel(scale)).clamp(0, 1)


def _bumps(best: Tensor, pixels: Tensor, chances: Tensor, side: int, size: float) -> Tensor:
    """In each image, the budget of one square moves to another, onto which a bump is added (algorithm 3)."""
    deltas = [_shift_budget(one, chance, side, size) for one, chance in zip(best - pixels, chances.tolist())]
    return (pixels + project(torch.stack(deltas), size, "l2")).clamp(0, 1)


def _shift_budget(delta: Tensor, chances: list[float], side: int, size: float) -> Tensor:
    """(C, H, W) of one image; `chances` in [0, 1): places of the two squares, the bump's way, a sign a channel."""
    channels, height, width = delta.shape
    tops, lefts = ([int(share * (length - side + 1)) for share in pair] for length, pair in _pairs(chances, delta))
    giving, taking = ((slice(None), slice(top, top + side), slice(left, left + side)) for top, left in zip(tops, lefts))
    union = torch.zeros_like(delta, dtype=torch.bool)
    union[giving] = union[taking] = True
    unused = (size**2 - delta.square().sum()).clamp_min(0)
    budget = (unused / channels + (delta * union).square().sum((1, 2), keepdim=True)).sqrt()
    old = delta[taking] / delta[taking].norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    signs = torch.tensor([1.0 if chance < 0.5 else -1.0 for chance in chances[5:]], device=delta.device)
    bump = old + signs.view(-1, 1, 1) * _two_halves(side, chances[4] < 0.5).to(delta.device)
    moved = delta.clone()
    moved[giving] = 0
    moved[taking] = budget * bump / bump.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    return moved


def _pairs(chances: list[float], delta: Tensor) -> list[tuple[int, list[float]]]:
    return [(delta.shape[1], chances[0:2]), (delta.shape[2], chances[2:4])]


def _bump(height: int, width: int) -> Tensor:
    """(height, width) highest in the middle, of unit length: at ring d from it the sum of 1/(1 + j)² from d on."""
    rings = max(height, width) // 2 + 1
    heights = (1 / torch.arange(1, rings + 1) ** 2).flip(0).cumsum(0).flip(0)
    rows, columns = ((torch.arange(length) - length // 2).abs() for length in (height, width))
    bump = heights[torch.maximum(rows[:, None], columns[None, :])]
    return bump / bump.norm()


def _two_halves(side: int, upright: bool) -> Tensor:
    """(side, side) of unit length: one half bulges up, the other down (figure 3)."""
    whole = torch.cat([_bump(side // 2, side), -_bump(side - side // 2, side)])
    return (whole if upright else whole.T) / whole.norm()


def _signs(chances: Tensor) -> Tensor:
    return torch.where(chances < 0.5, 1.0, -1.0)


def _places(chances: Tensor, last: int) -> Tensor:
    """Chances in [0, 1) → whole numbers from 0 to `last`."""
    return (chances * (last + 1)).long().clamp(max=last)


def _span(start: Tensor, length: int, whole: int) -> Tensor:
    """(B, whole) bool: from each `start` on, `length` of them."""
    places = torch.arange(whole, device=start.device)
    return (places >= start[:, None]) & (places < start[:, None] + length)
