"""Does the answer hang on the noise? The same purification with many seeds: shares of the labels, and spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core import compute
from core.bundles import Bundle
from core.defence.examination import Prediction
from core.purification.catalogue import purifier_steps
from core.purification.settings import PurifySettings


class SeedResult(NamedTuple):
    """What one seed came to.

    seed; prediction: the classifier on the estimate; estimate: (C, H, W) in [0, 1].
    """

    seed: int
    prediction: Prediction
    estimate: np.ndarray


class Agreement:
    """What many seeds came to, together. It keeps no estimate, so that memory doesn't grow with the seeds.

    Where the estimates differ from seed to seed, the detail in them comes from the noise and not from the scan: a
    generative model's uncertainty shows as the spread of its samples.

    Attributes
    ----------
    results : tuple of (int, Prediction)
        Each seed and its answer, in order.
    """

    def __init__(self) -> None:
        self.results: tuple[tuple[int, Prediction], ...] = ()
        self._mean: NDArray[np.float64] = np.zeros(())
        self._squares: NDArray[np.float64] = np.zeros(())

    def __len__(self) -> int:
        return len(self.results)

    def take(self, result: SeedResult | None) -> None:
        """Add one seed's result, with Welford's running mean and variance; None, a step on the way, adds nothing."""
        if result is None:
            return
        estimate = result.estimate.astype(np.float64)
        change = estimate - self._mean
        self._mean = self._mean + change / (len(self) + 1)
        self._squares = self._squares + change * (estimate - self._mean)
        self.results = (*self.results, (result.seed, result.prediction))

    @property
    def counts(self) -> dict[str, int]:
        """Label → how many seeds gave it, the most frequent first."""
        return dict(Counter(prediction.label for _, prediction in self.results).most_common())

    @property
    def shares(self) -> dict[str, float]:
        """Label → share of the seeds that gave it, in [0, 1]."""
        return {label: count / len(self) for label, count in self.counts.items()}

    @property
    def unanimous(self) -> bool:
        """Whether all seeds gave one label."""
        return len(self.counts) == 1

    @property
    def spread(self) -> np.ndarray | None:
        """(H, W) sample standard deviation over the seeds, mean over channels, pixel units; None below two seeds."""
        if len(self) < 2:
            return None
        return np.sqrt(self._squares / (len(self) - 1)).mean(0)


def agreement(
    pixels: np.ndarray,
    bundle: Bundle,
    settings: PurifySettings,
    seeds: Iterable[int],
    classifier: str | None = None,
) -> Iterator[SeedResult | None]:
    """Purify one scan once per seed.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1].
    seeds : iterable of int
        Each draws all the noise of one purification.
    classifier : str, optional
        One of the bundle's; its default where none is given. `Bundle.answering` says who answers on the estimates.

    Yields
    ------
    SeedResult or None
        None after each step of a purifier, so that a caller can stop there; the result after the last.

    Raises
    ------
    ValueError
        Unknown method, or a parameter out of range; one sentence.
    """
    name = bundle.classifier_name(classifier)
    answering = bundle.answering(name)
    batch = torch.from_numpy(pixels).unsqueeze(0).to(compute.device())
    for seed in seeds:
        for step in purifier_steps(batch, bundle, settings, classifier=name, seed=seed):
            estimate = step.estimate.detach()
            yield None
        with torch.no_grad():
            probabilities = bundle.classifiers[answering](estimate)[0].softmax(0).tolist()
        answer = Prediction(answering, dict(zip(bundle.classes, probabilities)))
        yield SeedResult(seed, answer, estimate[0].cpu().numpy())
