"""RayS: the nearest boundary along rays of signs, from the answered label alone (Chen & Gu 2020)."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from core.attacks.attempts import (
    Generators,
    check_counts,
    checked_radius,
    draw,
    fooled,
    look,
    margin,
    per_image_generators,
    put,
    refuse_target,
    run_restarts,
)
from core.attacks.gradient import AttackStep, Model, per_pixel

TOLERANCE = 1e-3  # of the binary search, in pixel units; finer where ε is small


def rays(
    model: Model,
    pixels: Tensor,
    labels: Tensor,
    *,
    eps: float,
    generator: Generators,
    norm: str = "linf",
    steps: int = 2000,
    restarts: int = 1,
    eot: int = 1,
    target: int | None = None,
    minimise: bool = False,
    **_: object,
) -> Iterator[AttackStep]:
    """Flip the sign of ever smaller blocks of a ray, and keep what meets another class sooner; ℓ∞ only.

    Parameters as for `pgd`.

    Parameters
    ----------
    generator : torch.Generator, or one an image
        Signs of the ray that every attempt after the first begins with; the first begins with all pixels brighter.
    steps : int
        Queries to the model an image.
    minimise : bool
        Look on for a smaller radius where one of at most ε has been found; by default the image is done.

    Yields
    ------
    AttackStep
        One a query, at most restarts × steps; `attacked` lies on the best ray, at its radius or at ε where that is
        smaller. `loss` is the margin at the point asked, to be shown: the attack itself sees the label alone.

    Raises
    ------
    ValueError
        A parameter is out of range, or there is a target; one sentence.
    """
    check_counts(steps, restarts, eot)
    size = checked_radius(eps, norm, ("linf",), "RayS")
    refuse_target(target, "RayS")
    generators = per_image_generators(generator, len(pixels))

    def attempt(rows: Tensor, first: bool) -> Iterator[AttackStep]:
        images = pixels[rows]
        signs = torch.ones_like(images)
        if not first:
            chances = draw([generators[row] for row in rows.tolist()], images.shape[1:], images.device)
            signs = torch.where(chances < 0.5, signs, -signs)
        return _search(model, images, labels[rows], signs, size, steps, eot, minimise)

    if restarts == 1:
        yield from attempt(torch.arange(len(pixels), device=pixels.device), True)
        return
    attempts = [partial(attempt, first=number == 0) for number in range(restarts)]
    yield from run_restarts(attempts, model, pixels, labels, eot=eot)


def _search(
    model: Model, pixels: Tensor, labels: Tensor, signs: Tensor, size: float, steps: int, eot: int, minimise: bool
) -> Iterator[AttackStep]:
    search = _Rays(signs, min(TOLERANCE, size / 16))
    rows = torch.arange(len(pixels), device=pixels.device)
    loss = logits = None
    for query in range(steps):
        row_labels = labels[rows]
        answer = look(model, search.ask(pixels[rows], rows), eot)
        search.answer(rows, fooled(answer, row_labels))
        loss, logits = put(loss, rows, margin(answer, row_labels)), put(logits, rows, answer)
        reach = per_pixel(search.radius.clamp(max=size))
        yield AttackStep(query, loss, (pixels + reach * search.signs).clamp(0, 1), logits)
        if not minimise:
            rows = (search.radius > size).nonzero().squeeze(1)
        if not len(rows):
            return


class _Rays:
    """Algorithm 3, one query at a time, for many images that each are at a place of their own.

    signs (B, C, H, W) of each image's best ray, and its radius (B,), inf before a class was met. The question is
    whether the ray with one of 2^level blocks flipped meets another class at the best radius; where it does, a binary
    search says where. At the very first query the radius is 0, as an image that is fooled already needs no ray.
    """

    def __init__(self, signs: Tensor, tolerance: float) -> None:
        count, device = len(signs), signs.device
        self.signs, self._tolerance = signs, tolerance
        self.radius = torch.full((count,), torch.inf, device=device)
        self._level, self._block = (torch.zeros(count, dtype=torch.long, device=device) for _ in range(2))
        self._low, self._high = (torch.zeros(count, device=device) for _ in range(2))
        self._halving = torch.zeros(count, dtype=torch.bool, device=device)
        self._flipped, self._asked = signs, torch.zeros(count, device=device)
        self._begun = False

    def ask(self, pixels: Tensor, rows: Tensor) -> Tensor:
        """The points to ask the model about, (len(rows), C, H, W) in [0, 1]."""
        if self._begun:
            middle = (self._low[rows] + self._high[rows]) / 2
            asked = torch.where(self._halving[rows], middle, self.radius[rows].clamp(max=1))
            # A binary search keeps its ray; any other image goes on to the next block.
            fresh = rows[~self._halving[rows]]
            self._flipped = put(self._flipped, fresh, self._flip(fresh)) if len(fresh) else self._flipped
            self._asked = put(self._asked, rows, asked)
        asked = per_pixel(self._asked[rows])
        return (pixels + asked * self._flipped[rows]).clamp(0, 1)

    def answer(self, rows: Tensor, met: Tensor) -> None:
        """(len(rows),) whether another class was met at the points asked about."""
        if not self._begun:
            self._begun = True
            self.radius = put(self.radius, rows, torch.where(met, 0.0, self.radius[rows]))
            return
        asked, halving = self._asked[rows], self._halving[rows]
        better = rows[met]
        if len(better):
            self.radius = put(self.radius, better, asked[met])
            self.signs = put(self.signs, better, self._flipped[better])
        low = torch.where(halving & ~met, asked, torch.where(halving, self._low[rows], 0.0))
        high = torch.where(met, asked, self._high[rows])
        still = (halving | met) & (high - low > self._tolerance)
        self._low, self._high = put(self._low, rows, low), put(self._high, rows, high)
        self._halving = put(self._halving, rows, still)
        self._advance(rows[~still])

    def _flip(self, rows: Tensor) -> Tensor:
        flat = self.signs[rows].flatten(1)
        length = flat.shape[1]
        places = torch.arange(length, device=flat.device)
        blocks = 2 ** self._level[rows].unsqueeze(1)
        inside = places * blocks // length == self._block[rows].unsqueeze(1)
        return torch.where(inside, -flat, flat).view_as(self.signs[rows])

    def _advance(self, rows: Tensor) -> None:
        """On to the next block, after the last one to blocks of half the size, after single pixels to the whole."""
        if not len(rows):
            return
        block, level = self._block[rows] + 1, self._level[rows]
        through = block >= 2**level
        level = torch.where(through, level + 1, level)
        level = torch.where(2 ** (level - 1) >= self.signs[0].numel(), 0, level)
        self._block = put(self._block, rows, torch.where(through, 0, block))
        self._level = put(self._level, rows, level)
