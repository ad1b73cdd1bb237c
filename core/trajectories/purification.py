"""A purification followed: every step with its estimate, the answer to it, and how far it is from where it began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.bundles import Bundle
from core.defence.examination import Prediction
from core.fidelity.attention_variation import variation
from core.fidelity.metrics import Distance, distance
from core.purification.catalogue import longest_purification, purifier_steps
from core.purification.settings import PurifySettings
from core.purification.steps import PurifierStep
from core.trajectories.decimation import MOST_KEPT, DecimatedHistory


class Frame(NamedTuple):
    """The state after so many steps.

    step: how many steps were done, 0 for the input itself; t: diffusion step that `noisy` stands at, None where there
    is no noise; noisy: (C, H, W) what the network was given, pixel units, leaves [0, 1] by as much as the noise does,
    or None; estimate: (C, H, W) in [0, 1]; prediction: the classifier on `estimate`; loss: what the purifier descends,
    as its last step found it, or None; to_input: from the input to `estimate`; to_reference: from the clean scan to
    `estimate`, None where that is not known.
    """

    step: int
    t: int | None
    noisy: np.ndarray | None
    estimate: np.ndarray
    prediction: Prediction
    loss: float | None
    to_input: Distance
    to_reference: Distance | None


class MaeView(NamedTuple):
    """How the MAE sees a frame: its reconstruction loss, and the attention variation of encoder and decoder against the
    clean scan, None where that is not known."""

    reconstruction_loss: float
    encoder: float | None
    decoder: float | None


class PurificationTrajectory:
    """Frames along one purification of one image: every step at first, and fewer the longer it gets.

    Written by the thread that purifies, and read by any other.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1]: the input.
    bundle : Bundle
        Whose classifier is asked about every frame.
    settings : PurifySettings
        How the image is purified.
    classifier : str, optional
        One of the bundle's; its default where none is given.
    reference : ndarray, optional
        (C, H, W) in [0, 1]: the clean scan, where it is known.
    answer : Prediction, optional
        The classifier's answer to the input, where it is known already.
    wanted : str, optional
        Its label for the clean scan, where that is known already.
    answering : str, optional
        Whom the defence asks about estimates, where that is another: to be asked about the last one.
    most : int
        So many frames are kept at most, besides the input and the last.

    Attributes
    ----------
    frames : tuple of Frame
        In order; the first is the input itself.
    steps, total : int
        Steps taken so far, and how many there will be.
    defended : Prediction or None
        What `answering` says of the last estimate; None until it is there, or where the defence asks nobody else.
    mae_views : dict of int to MaeView
        Step → how the MAE sees it, of the frames that `mae_view_steps` has come to.

    Raises
    ------
    ValueError
        Unknown method or a parameter out of range; one sentence.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        bundle: Bundle,
        settings: PurifySettings,
        *,
        classifier: str | None = None,
        reference: np.ndarray | None = None,
        answer: Prediction | None = None,
        wanted: str | None = None,
        answering: str | None = None,
        most: int = MOST_KEPT,
    ) -> None:
        self.pixels, self.settings, self.reference = pixels, settings, reference
        self.total = longest_purification(settings)
        self.steps = 0
        self.mae_views: dict[int, MaeView] = {}
        self._bundle, self._classifier = bundle, bundle.classifier_name(classifier)
        self._answering = answering if answering != self._classifier else None
        self.defended: Prediction | None = None
        self._last: PurifierStep | None = None
        self._frames = DecimatedHistory(self._frame(0, None, answer), most + 1)
        #: The classifier's answer to the clean scan, None where that is not known.
        self.wanted = wanted if wanted or reference is None else self._answer(reference, self._classifier).label

    @property
    def frames(self) -> tuple[Frame, ...]:
        return self._frames.kept

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""
        return min(1.0, self.steps / self.total)

    def take(self, step: PurifierStep) -> None:
        """Note one more step, on a batch of one image."""
        self._last, self.steps = step, self.steps + 1
        if self._frames.wants(self.steps):
            self._frames.keep(self._frame(self.steps, step))

    def finish(self) -> None:
        """See that the last step has a frame, too."""
        if self._last is not None and self.frames[-1].step < self.steps:
            self._frames.close(self._frame(self.steps, self._last))
        if self._last is not None and self._answering:
            self.defended = self._answer(self.frames[-1].estimate, self._answering)

    def at(self, share: float) -> Frame:
        """The frame nearest to a relative position in [0, 1]: of methods of any length, those that belong together."""
        frames = self.frames
        return frames[min(int(share * (len(frames) - 1) + 0.5), len(frames) - 1)]

    def before(self, frame: Frame) -> Frame | None:
        """The frame before one of the trajectory's; None where it is the input."""
        earlier = [other for other in self.frames if other.step < frame.step]
        return earlier[-1] if earlier else None

    def turn(self) -> Frame | None:
        """The first frame from which on the answer is the one it ends with; None where it never was another."""
        frames = self.frames
        last = frames[-1].prediction.label
        others = [place for place, frame in enumerate(frames) if frame.prediction.label != last]
        return frames[others[-1] + 1] if others else None

    def sampled(self, most: int) -> tuple[Frame, ...]:
        """At most so many frames, evenly spaced; with the first, the last, and the one where the answer turns."""
        frames = self.frames
        places = set(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int).tolist())
        turn = self.turn()
        if turn is not None and (place := frames.index(turn)) not in places:
            places.remove(min(places - {0, len(frames) - 1}, key=lambda other: abs(other - place)))
            places.add(place)
        return tuple(frames[place] for place in sorted(places))

    def _frame(self, step: int, made: PurifierStep | None, answer: Prediction | None = None) -> Frame:
        estimate = self.pixels if made is None else _array(made.estimate)
        noisy = None if made is None or made.noisy is None else (_array(made.noisy) + 1) / 2
        loss = None if made is None or made.loss is None else float(made.loss[0])
        return Frame(
            step,
            made.t if made else None,
            noisy,
            estimate,
            answer or self._answer(estimate, self._classifier),
            loss,
            distance(self.pixels, estimate),
            None if self.reference is None else distance(self.reference, estimate),
        )

    @torch.no_grad()
    def _answer(self, pixels: np.ndarray, classifier: str) -> Prediction:
        logits = self._bundle.classifiers[classifier](_batch(pixels))
        return Prediction(classifier, dict(zip(self._bundle.classes, logits[0].softmax(0).tolist())))


def purify_side_by_side(
    trajectories: Sequence[PurificationTrajectory], bundle: Bundle, seed: int = 0
) -> Iterator[PurificationTrajectory]:
    """Purify one image in several ways side by side: the next step is always that of the one furthest behind.

    Yields
    ------
    PurificationTrajectory
        The one that has just taken a step. However it ends, the last step of each has a frame.
    """
    left = [(trajectory, _steps(trajectory, bundle, seed)) for trajectory in trajectories]
    try:
        while left:
            trajectory, steps = min(left, key=lambda pair: pair[0].share)
            step = next(steps, None)
            if step is None:
                left = [pair for pair in left if pair[0] is not trajectory]
            else:
                trajectory.take(step)
                yield trajectory
    finally:
        for trajectory in trajectories:
            trajectory.finish()


def mae_view_steps(
    trajectories: Sequence[PurificationTrajectory], bundle: Bundle, most: int = 12
) -> Iterator[PurificationTrajectory]:
    """Have the MAE look at frames of each trajectory, at most `most`, evenly spaced; yields the one with a new view.

    That takes far longer than asking the classifier, hence not every frame, and not while purifying.
    """
    for trajectory in trajectories:
        for frame in trajectory.sampled(most):
            if frame.step not in trajectory.mae_views:
                trajectory.mae_views[frame.step] = mae_view(frame.estimate, trajectory.reference, bundle)
                yield trajectory


def mae_view(estimate: np.ndarray, reference: np.ndarray | None, bundle: Bundle) -> MaeView:
    """How the MAE sees (C, H, W) pixels in [0, 1], beside the clean ones where these are known."""
    seen = variation(_batch(estimate), _batch(estimate if reference is None else reference), bundle)
    known = reference is not None
    return MaeView(
        seen.reconstruction_loss.item(),
        seen.encoder.item() if known else None,
        seen.decoder.item() if known else None,
    )


def _steps(trajectory: PurificationTrajectory, bundle: Bundle, seed: int) -> Iterator[PurifierStep]:
    answer = trajectory.frames[0].prediction
    return purifier_steps(
        _batch(trajectory.pixels), bundle, trajectory.settings, classifier=answer.classifier, seed=seed
    )


def _batch(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).unsqueeze(0).to(compute.device())


def _array(batch: Tensor) -> np.ndarray:
    return batch[0].detach().cpu().numpy()
