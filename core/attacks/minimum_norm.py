"""What the attacks share that look for the smallest perturbation: FAB, C&W, DeepFool and EAD."""

import torch
from torch import Tensor

from core.attacks.attempts import Best, fooled, into_ball, lengths, look, margin
from core.attacks.gradient import AttackStep, Model, per_pixel

SEARCHES = 5  # of C&W and EAD over the weight of the loss
# Three searches that fail reach 100, each ten times the one before; 1e-3, which is usual, would waste two.
FIRST_WEIGHT = 0.1


class SmallestPerturbation:
    """Each image's smallest perturbation that fools, and the highest margin where none does.

    Parameters
    ----------
    pixels, labels : Tensor
        (B, C, H, W) in [0, 1]; (B,) class indices to get away from.
    size : float
        Radius of the ball in pixel units, onto which a larger perturbation is projected before it is shown.
    norm : str
        ``linf``, ``l2`` or ``l1``: what the smallest is measured in.
    target : int, optional
        Class to drive every image to.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, size: float, norm: str, target: int | None = None) -> None:
        self.pixels, self.labels, self.size, self.norm, self.target = pixels, labels, size, norm, target
        self.rows = torch.arange(len(pixels), device=pixels.device)
        # Of two perturbations that fool, the smaller is the better one: their loss is minus their length.
        self._nearest, self._strongest = Best.start(pixels), Best.start(pixels)

    def offer(self, points: Tensor, logits: Tensor, rows: Tensor | None = None) -> Tensor:
        """Keep what is better than before; return (B,) which points fool. `rows`: of which images, by default all."""
        rows = self.rows if rows is None else rows
        labels = self.labels[rows]
        won = fooled(logits, labels, self.target)
        length = lengths(points - self.pixels[rows], self.norm)
        self._nearest.offer(rows[won], points[won], -length[won], won[won])
        self._strongest.offer(rows, points, margin(logits, labels, self.target), won)
        return won

    def outside(self) -> Tensor:
        """Return the indices of the images for which nothing inside the ball has been found."""
        return (~self._nearest.fooled | (-self._nearest.loss > self.size)).nonzero().squeeze(1)

    def found(self) -> Tensor:
        """Return (B, C, H, W) in the ball and in [0, 1]."""
        found = torch.where(per_pixel(self._nearest.fooled), self._nearest.pixels, self._strongest.pixels)
        return self.projected(found)

    def projected(self, points: Tensor) -> Tensor:
        """Return `points` of all images in [0, 1], projected onto the ball where they lie outside."""
        return into_ball(points, self.pixels, self.size, self.norm)

    def asked(self, index: int, points: Tensor, logits: Tensor) -> AttackStep:
        """Return the step in which the model was asked about `points` of all images."""
        return AttackStep(index, margin(logits, self.labels, self.target), self.projected(points), logits)

    def result(self, index: int, model: Model, eot: int) -> AttackStep:
        """Return the last step, which shows what was found."""
        found = self.found()
        return self.asked(index, found, look(model, found, eot))


class WeightSearch:
    """Binary search for the smallest weight of the classification loss that fools (Carlini & Wagner 2017, section V).

    weight (B,): ten times the one before until one fools, then the middle between one that does and one that doesn't.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.weight = torch.full((count,), FIRST_WEIGHT, dtype=torch.float64, device=device)
        self._low, self._high = torch.zeros_like(self.weight), torch.full_like(self.weight, torch.inf)

    def judge(self, fooled: Tensor) -> None:
        """Choose the next weight; `fooled` (B,): whether the present one did."""
        self._high = torch.where(fooled, self.weight, self._high)
        self._low = torch.where(fooled, self._low, self.weight)
        self.weight = torch.where(self._high.isinf(), 10 * self.weight, (self._low + self._high) / 2)


def weighted_hinge(logits: Tensor, labels: Tensor, target: int | None, weight: Tensor) -> Tensor:
    """Return (B,) weight times how far the margin is below 0 (f₆ of Carlini & Wagner 2017, section V.A)."""
    return weight.to(logits.dtype) * (-margin(logits, labels, target)).clamp_min(0)
