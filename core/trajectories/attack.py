"""How one attack went, kept in so little memory that a run of thousands of steps can be watched and replayed."""

from typing import NamedTuple

import numpy as np
import torch

from core.attacks import AttackStep
from core.attacks.gradient import Model
from core.fidelity.metrics import euclidean_length
from core.trajectories.decimation import MOST_KEPT, DecimatedHistory


class Snapshot(NamedTuple):
    """The state after so many steps.

    step: how many steps were done, 0 for the image itself; loss: what the attack climbs, as its last step found it,
    None where there is none; probability: of the original class, in [0, 1], by the classifier alone; size: of the
    perturbation, in pixel units and the attack's norm; pixels: (C, H, W) in [0, 1].
    """

    step: int
    loss: float | None
    probability: float
    size: float
    pixels: np.ndarray


class AttackTrajectory:
    """Marks along one attack on one image: every step at first, and fewer the longer it gets.

    Written by the thread that attacks, and read by any other.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1] before the attack.
    label : int
        Index of the original class.
    probability : float
        Its probability before the attack.
    model : callable
        (1, C, H, W) → (1, classes) logits of the classifier alone, asked about each mark's pixels. What the attack was
        told will not do: it is of the pixels before its last step, and may be the whole defence's.
    norm : str
        ``linf``, ``l2`` or ``l1``: what `Snapshot.size` is measured in.
    most : int
        So many marks are kept at most.

    Attributes
    ----------
    marks : tuple of Snapshot
        In order; the first is the image itself.
    result : Tensor or None
        (1, C, H, W) in [0, 1]: what the attack came to so far.
    steps : int
        Steps taken so far.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        label: int,
        probability: float,
        model: Model,
        norm: str = "linf",
        most: int = MOST_KEPT,
    ) -> None:
        self._label, self._norm, self._model = label, norm, model
        self._last: AttackStep | None = None
        self._snapshots = DecimatedHistory(Snapshot(0, None, probability, 0.0, pixels), most)
        self.steps = 0

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        return self._snapshots.kept

    @property
    def result(self) -> torch.Tensor | None:
        return None if self._last is None else self._last.attacked

    def take(self, step: AttackStep) -> None:
        """Note one more step of the attack, on a batch of one image."""
        self._last, self.steps = step, self.steps + 1
        if self._snapshots.wants(self.steps):
            self._snapshots.keep(self._snapshot(step))

    def finish(self) -> None:
        """See that the last step has a mark, too."""
        if self._last is not None and self.snapshots[-1].step < self.steps:
            self._snapshots.close(self._snapshot(self._last))

    def _snapshot(self, step: AttackStep) -> Snapshot:
        pixels = step.attacked[0].detach().cpu().numpy()
        # A benign change climbs nothing, and has no logits.
        loss = None if step.logits is None and not step.loss.any() else float(step.loss[0])
        return Snapshot(self.steps, loss, self._probability(step.attacked), self._size(pixels), pixels)

    @torch.no_grad()
    def _probability(self, attacked: torch.Tensor) -> float:
        return float(self._model(attacked)[0].softmax(0)[self._label])

    def _size(self, pixels: np.ndarray) -> float:
        change = pixels - self.snapshots[0].pixels
        if self._norm == "l2":
            return euclidean_length(change)
        return float(np.abs(change).max() if self._norm == "linf" else np.abs(change).sum())
