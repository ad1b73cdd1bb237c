"""The paper's four ways to learn together and to ask (Amin et al. 2025, figure 4), over a few hospitals.

What hospitals train together is a network on scans, as in the paper, or a linear head alone on the class tokens of a
fixed network, which costs next to nothing.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, skip_init, vector_to_parameters

from core.federation.averaging import ClientSettings, client_update
from core.federation.hospitals import Hospital
from core.statistics import RESAMPLES

CONFIGURATIONS = ("central", "federated, plain", "encrypted gradients", "encrypted token")
MEASURES = ("accuracy", "f1", "precision", "recall")
Aggregate = Callable[[Sequence[np.ndarray]], np.ndarray]
Predict = Callable[[nn.Module, Tensor], np.ndarray]
BATCH = 64  # that are answered at once


@dataclass(frozen=True)
class Examples:
    """One split, as what is trained takes it.

    Attributes
    ----------
    inputs : Tensor
        (N, D) float32 class tokens, as TokenViT's `token` returns them, or (N, C, H, W) pixels in [0, 1].
    labels : ndarray
        (N,) class indices.
    groups : sequence of str
        (N,) near-duplicate groups.
    """

    inputs: Tensor
    labels: np.ndarray
    groups: Sequence[str]

    def __post_init__(self):
        if self.inputs.ndim not in (2, 4) or not len(self.inputs) == len(self.labels) == len(self.groups) > 0:
            raise ValueError(
                f"Inputs of shape {tuple(self.inputs.shape)}, {len(self.labels)} labels and {len(self.groups)} groups "
                "don't fit; give (N, D) tokens or (N, C, H, W) pixels, with a label and a group each."
            )


@dataclass(frozen=True)
class TrainingSettings:
    """How they train: so many rounds of what every hospital does in one.

    Attributes
    ----------
    rounds : int
        Rounds of federated averaging.
    client : ClientSettings
        What a hospital does in a round.
    """

    rounds: int = 20
    client: ClientSettings = ClientSettings(steps=10, batch=64, lr=0.01)

    def __post_init__(self):
        if self.rounds < 1:
            raise ValueError(f"There must be at least one round, not {self.rounds}.")


HEAD = TrainingSettings()
NETWORK = TrainingSettings(5, ClientSettings(steps=20, batch=32, lr=0.003))


class Measured(NamedTuple):
    """A share in [0, 1] with its 95 % interval, from `low` to `high`."""

    value: float
    low: float
    high: float


class Result(NamedTuple):
    """What one of CONFIGURATIONS gave: (N, classes) logits, and every one of MEASURES."""

    configuration: str
    logits: np.ndarray
    measures: dict[str, Measured]


def compare_steps(
    start: nn.Module,
    train: Examples,
    test: Examples,
    hospitals: Sequence[Hospital],
    aggregate: Aggregate,
    predict: Predict,
    seed: int = 0,
    settings: TrainingSettings = HEAD,
) -> Iterator[Result]:
    """Train and measure the four configurations, one after another.

    Central is the same training with all examples in one place. Encrypted tokens are answered by the central network.

    Parameters
    ----------
    start : Module
        What all of them begin with, `zero_head` or a network; left as it is. What requires no gradient isn't trained.
    train, test : Examples
        No group is in both.
    hospitals : sequence of Hospital
        As `make_hospitals` deals out the labels and groups of `train`.
    aggregate : callable
        One (P,) float64 vector a hospital → (P,) their mean, taken under encryption.
    predict : callable
        The central network and the inputs of `test` → (N, classes) logits, computed on encrypted tokens.
    seed : int
        Of the batches; the same for all configurations.
    settings : TrainingSettings
        The same for all configurations.
    """
    sites = [hospital.indices for hospital in hospitals]
    central = train_together(start, train, [range(len(train.labels))], seed, settings)
    yield _result(CONFIGURATIONS[0], _logits(central, test.inputs), test)
    federated = train_together(start, train, sites, seed, settings)
    yield _result(CONFIGURATIONS[1], _logits(federated, test.inputs), test)
    encrypted = train_together(start, train, sites, seed, settings, aggregate)
    yield _result(CONFIGURATIONS[2], _logits(encrypted, test.inputs), test)
    yield _result(CONFIGURATIONS[3], predict(central, test.inputs), test)


def plain_mean(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of (P,) vectors, as a server takes it that sees them."""
    return np.mean(vectors, axis=0)


def zero_head(width: int, classes: int) -> nn.Linear:
    """A linear head of zeros, (B, width) → (B, classes), to begin with."""
    head = skip_init(nn.Linear, width, classes)  # nn.Linear alone would draw from the global generator
    vector_to_parameters(torch.zeros(sum(weight.numel() for weight in head.parameters())), head.parameters())
    return head


def train_together(
    start: nn.Module,
    train: Examples,
    sites: Sequence[Sequence[int]],
    seed: int,
    settings: TrainingSettings,
    aggregate: Aggregate = plain_mean,
) -> nn.Module:
    """Federated averaging (McMahan et al. 2017, algorithm 1) of a copy of `start`.

    Each hospital sends K n_k / n times the change of its weights, so that the plain mean over K hospitals is the
    average over images, and so that encryption, whose error doesn't depend on the numbers' size, carries small ones.

    Parameters
    ----------
    start : Module
        As for `compare_steps`; without BatchNorm, whose statistics aren't among the changes of weights.
    train : Examples
        Of all hospitals.
    sites : sequence of sequence of int
        For each hospital, its places in `train`; one site is central training.
    seed : int
        Of the batches.
    settings : TrainingSettings
        Rounds, and what is done in one.
    aggregate : callable
        As for `compare_steps`.
    """
    network, labels = copy.deepcopy(start), torch.from_numpy(train.labels).long()
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    places, generator = [torch.tensor(site) for site in sites], torch.Generator().manual_seed(seed)
    total = sum(len(place) for place in places)
    for _ in range(settings.rounds):
        before, changes = parameters_to_vector(trained.values()).detach(), []
        for own in places:
            update = client_update(network, train.inputs[own], labels[own], settings.client, generator)
            after = torch.cat([update.state[name].flatten() for name in trained])
            changes.append((len(places) * update.count / total * (after - before).double()).numpy())
        change = torch.from_numpy(np.asarray(aggregate(changes))).float()
        vector_to_parameters(before + change, trained.values())
    return network.eval().requires_grad_(False)


def measure(logits: np.ndarray, labels: np.ndarray, groups: Sequence[str], seed: int = 0) -> dict[str, Measured]:
    """Accuracy, and F1, precision and recall as macro-averages, with cluster-bootstrap intervals.

    Parameters
    ----------
    logits : ndarray
        (N, classes).
    labels : ndarray
        (N,).
    groups : sequence of str
        (N,); images of one group are drawn together, as `bootstrap_interval` draws them.
    """
    classes = logits.shape[1]
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((member.max() + 1, classes, classes))
    np.add.at(counts, (member, labels, logits.argmax(1)), 1)
    drawn = np.random.default_rng(seed).integers(0, len(counts), (RESAMPLES, len(counts)))
    times = np.stack([np.bincount(row, minlength=len(counts)) for row in drawn])
    resampled = (times @ counts.reshape(len(counts), -1)).reshape(-1, classes, classes)
    values, (low, high) = _shares(counts.sum(0)), np.quantile(_shares(resampled), [0.025, 0.975], axis=0)
    return {name: Measured(*map(float, row)) for name, row in zip(MEASURES, np.stack([values, low, high], axis=1))}


def _shares(confusion: np.ndarray) -> np.ndarray:
    """(…, true, answered) counts → (…, 4) MEASURES; a class that is neither true nor answered has no part in them."""
    hits, true, answered = np.einsum("...cc->...c", confusion), confusion.sum(-1), confusion.sum(-2)
    seen = (true + answered) > 0
    ratios = [2 * hits / np.maximum(true + answered, 1), hits / np.maximum(answered, 1), hits / np.maximum(true, 1)]
    means = [ratio.sum(-1) / seen.sum(-1) for ratio in ratios]
    return np.stack([hits.sum(-1) / true.sum(-1), *means], axis=-1)


def _logits(network: nn.Module, inputs: Tensor) -> np.ndarray:
    return torch.cat([network(part) for part in inputs.split(BATCH)]).numpy()


def _result(configuration: str, logits: np.ndarray, test: Examples) -> Result:
    return Result(configuration, logits, measure(logits, test.labels, test.groups))
