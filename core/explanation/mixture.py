"""What the experts of a mixture say about one scan: before an attack, along it, and after purification."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.attacks import AttackSettings, attack_pixels, longest_run
from core.bundles import Bundle
from core.defence.examination import Prediction
from core.models.experts import MixtureOfExperts, Opinions, combine, without
from core.purification.catalogue import purified_pixels
from core.purification.settings import PurifySettings

PURIFIER = PurifySettings("one-step")
PATH_END = 16.0
PATH = tuple(PATH_END * place / 32 for place in range(33))
PATH_METHODS = ("fgsm", "pgd")


@dataclass(frozen=True)
class MixtureOutput:
    """What a mixture of K experts makes of one scan.

    Attributes
    ----------
    weights : tuple of float
        (K,) how much each expert counts, in [0, 1], summing to one.
    experts : tuple of Prediction
        (K,) what each says on its own; named as in `Bundle.experts`.
    answer : Prediction
        The mixture's.
    opinions : Opinions
        The tensors behind these, of a batch of one.
    """

    weights: tuple[float, ...]
    experts: tuple[Prediction, ...]
    answer: Prediction
    opinions: Opinions

    def only(self, switched_on: Sequence[bool]) -> "MixtureOutput":
        """The same scan with some experts switched off; ValueError, one sentence, where nobody is left."""
        left = without(self.opinions, switched_on)
        return _output(left, tuple(self.answer.probabilities), self.answer.classifier, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Who sits on it, in the order of the gate."""
        return tuple(expert.classifier for expert in self.experts)


class MixtureView(NamedTuple):
    """(C, H, W) pixels in [0, 1], and what the experts make of them."""

    pixels: np.ndarray
    output: MixtureOutput


class GateChange(NamedTuple):
    """What became of a gate between two scans of the same K experts, such as one and its attacked copy.

    points: (K,) how much more each expert counts, in [-1, 1], summing to zero; turned: how many of those at work answer
    with another class; held: the answer to the second scan with the weights of the first: where it names the class that
    the mixture names, the gate is not what turned the answer.
    """

    points: tuple[float, ...]
    turned: int
    held: Prediction

    @property
    def largest(self) -> int:
        """Whose weight changes most."""
        return max(range(len(self.points)), key=lambda place: abs(self.points[place]))

    @property
    def most(self) -> float:
        """By how much, in [0, 1]."""
        return abs(self.points[self.largest])


class GatePathPoint(NamedTuple):
    """eps: how far along the path, in 1/255; view: the scan at that place, and what the experts make of it."""

    eps: float
    view: MixtureView


def mixtures(bundle: Bundle) -> tuple[str, ...]:
    """The classifiers of a bundle that are mixtures of experts, those with thresholds first."""
    names = [name for name, network in bundle.classifiers.items() if isinstance(network, MixtureOfExperts)]
    return tuple(sorted(names, key=lambda name: name not in bundle.limits))


@torch.no_grad()
def run_mixture(pixels: np.ndarray, bundle: Bundle, classifier: str) -> MixtureView:
    """Ask the experts of a mixture about (C, H, W) pixels in [0, 1]."""
    opinions = _mixture(bundle, classifier).opinions(_batch(pixels))
    names = tuple(expert.name for expert in bundle.experts(classifier))
    return MixtureView(pixels, _output(opinions, bundle.classes, classifier, names))


def run_mixture_on_purified(pixels: np.ndarray, bundle: Bundle, classifier: str, seed: int = 0) -> MixtureView:
    """The same after one-step denoising, which asks for no thresholds; `seed` draws its noise."""
    estimate = purified_pixels(_batch(pixels), bundle, PURIFIER, seed=seed)
    return run_mixture(_array(estimate), bundle, classifier)


def gate_change(before: MixtureOutput, after: MixtureOutput) -> GateChange:
    """How a gate and its experts answer to another scan; both outputs with the same experts at work."""
    points = tuple(now - then for then, now in zip(before.weights, after.weights, strict=True))
    turned = sum(
        then.label != now.label
        for then, now, weight in zip(before.experts, after.experts, after.weights, strict=True)
        if weight
    )
    weights, logits = before.opinions.weights, after.opinions.logits
    held = Opinions(weights, logits, combine(weights, logits))
    answer = _output(held, tuple(after.answer.probabilities), after.answer.classifier, after.names).answer
    return GateChange(points, turned, answer)


def attacked(
    pixels: np.ndarray, bundle: Bundle, classifier: str, settings: AttackSettings, seed: int = 0
) -> Iterator[np.ndarray]:
    """Attack the mixture's own answer: (C, H, W) pixels in [0, 1] after each step, of which the last is the result."""
    for step in attack_pixels(_batch(pixels), bundle, settings, classifier=classifier, seed=seed):
        yield _array(step.attacked)


def gate_path(
    pixels: np.ndarray, bundle: Bundle, classifier: str, method: str = "fgsm", seed: int = 0
) -> Iterator[GatePathPoint | None]:
    """The gate along the straight line from a scan to its attack at ε = 16/255.

    The direction is found once and then only shortened: so what the gate does along it is due to the size of the
    change, and not to another attack at every ε.

    Parameters
    ----------
    method : str
        One of `PATH_METHODS`.

    Yields
    ------
    GatePathPoint or None
        None for each step of the attack that finds the direction, then a point for each ε in `PATH`.
    """
    for step in attacked(pixels, bundle, classifier, _path_settings(method), seed):
        end = step
        yield None
    for eps in PATH:
        between = (pixels + eps / PATH_END * (end - pixels)).astype(np.float32)
        yield GatePathPoint(eps, run_mixture(between, bundle, classifier))


def path_length(method: str) -> int:
    """How many steps `gate_path` yields at most."""
    return longest_run(_path_settings(method)) + len(PATH)


def _mixture(bundle: Bundle, classifier: str) -> MixtureOfExperts:
    network = bundle.classifiers[classifier]
    if not isinstance(network, MixtureOfExperts):
        known = ", ".join(mixtures(bundle)) or "none"
        raise ValueError(f"The classifier {classifier} is no mixture of experts; choose one of: {known}.")
    return network


def _path_settings(method: str) -> AttackSettings:
    if method not in PATH_METHODS:
        raise ValueError(f"The path has no direction named {method!r}; choose one of: {', '.join(PATH_METHODS)}.")
    return AttackSettings(method, eps=PATH_END)


def _output(opinions: Opinions, classes: tuple[str, ...], classifier: str, names: tuple[str, ...]) -> MixtureOutput:
    said = opinions.logits[0].softmax(1).tolist()
    return MixtureOutput(
        weights=tuple(opinions.weights[0].tolist()),
        experts=tuple(Prediction(name, dict(zip(classes, shares))) for name, shares in zip(names, said)),
        answer=Prediction(classifier, dict(zip(classes, opinions.combined[0].softmax(0).tolist()))),
        opinions=opinions,
    )


def _batch(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).unsqueeze(0).to(compute.device())


def _array(batch: Tensor) -> np.ndarray:
    return batch[0].detach().cpu().numpy()
