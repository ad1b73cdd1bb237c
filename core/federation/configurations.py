"""The paper's four ways to learn and ask a head on class tokens (Amin et al. 2025, figure 4), over a few hospitals.

The encoder that makes the tokens is fixed: what hospitals train together is a linear head of 768 numbers a class and no
more, so federated figures say nothing of an encoder that was trained without pooling scans.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, skip_init, vector_to_parameters

from core.federation.averaging import ClientSettings, client_update
from core.federation.hospitals import Hospital
from core.statistics import RESAMPLES

CONFIGURATIONS = ("central", "federated, plain", "encrypted gradients", "encrypted token")
MEASURES = ("accuracy", "f1", "precision", "recall")
Aggregate = Callable[[Sequence[np.ndarray]], np.ndarray]
Predict = Callable[[nn.Linear, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TokenSet:
    """Class tokens of one split.

    Attributes
    ----------
    tokens : ndarray
        (N, D) float, as TokenViT's `token` returns them.
    labels : ndarray
        (N,) class indices.
    groups : sequence of str
        (N,) near-duplicate groups.
    """

    tokens: np.ndarray
    labels: np.ndarray
    groups: Sequence[str]

    def __post_init__(self):
        if self.tokens.ndim != 2 or not len(self.tokens) == len(self.labels) == len(self.groups) > 0:
            raise ValueError(
                f"Tokens of shape {self.tokens.shape}, {len(self.labels)} labels and {len(self.groups)} groups don't "
                "fit; give (N, D) tokens with a label and a group each."
            )


@dataclass(frozen=True)
class HeadSettings:
    """How the heads are trained: so many rounds of what every hospital does in one, from a head of zeros.

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
    train: TokenSet,
    test: TokenSet,
    hospitals: Sequence[Hospital],
    aggregate: Aggregate,
    predict: Predict,
    seed: int = 0,
    settings: HeadSettings | None = None,
) -> Iterator[Result]:
    """Train and measure the four configurations, one after another.

    Central is the same training with all tokens in one place. The encrypted token is answered by the central head.

    Parameters
    ----------
    train, test : TokenSet
        No group is in both.
    hospitals : sequence of Hospital
        As `make_hospitals` deals out the labels and groups of `train`.
    aggregate : callable
        One (P,) float64 vector a hospital → (P,) their mean, taken under encryption.
    predict : callable
        The central head and (N, D) tokens → (N, classes) logits, computed on encrypted tokens.
    seed : int
        Of the batches; the same for all configurations.
    settings : HeadSettings, optional
        The same for all configurations.
    """
    settings, classes = settings or HeadSettings(), int(max(train.labels.max(), test.labels.max())) + 1
    sites = [hospital.indices for hospital in hospitals]
    central = train_head(train, [range(len(train.labels))], classes, seed, settings)
    federated = train_head(train, sites, classes, seed, settings)
    yield _result(CONFIGURATIONS[0], _logits(central, test.tokens), test)
    yield _result(CONFIGURATIONS[1], _logits(federated, test.tokens), test)
    encrypted = train_head(train, sites, classes, seed, settings, aggregate)
    yield _result(CONFIGURATIONS[2], _logits(encrypted, test.tokens), test)
    yield _result(CONFIGURATIONS[3], predict(central, test.tokens), test)


def plain_mean(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of (P,) vectors, as a server takes it that sees them."""
    return np.mean(vectors, axis=0)


def train_head(
    train: TokenSet,
    sites: Sequence[Sequence[int]],
    classes: int,
    seed: int,
    settings: HeadSettings,
    aggregate: Aggregate = plain_mean,
) -> nn.Linear:
    """Federated averaging of a linear head (McMahan et al. 2017, algorithm 1).

    Each hospital sends K n_k / n times the change of its weights, so that the plain mean over K hospitals is the
    average over images, and so that encryption, whose error doesn't depend on the numbers' size, carries small ones.

    Parameters
    ----------
    train : TokenSet
        Of all hospitals.
    sites : sequence of sequence of int
        For each hospital, its places in `train`; one site is central training.
    classes : int
        Number of logits.
    seed : int
        Of the batches.
    settings : HeadSettings
        Rounds, and what is done in one.
    aggregate : callable
        As for `compare_steps`.
    """
    tokens, labels = torch.from_numpy(train.tokens).float(), torch.from_numpy(train.labels).long()
    head = skip_init(nn.Linear, tokens.shape[1], classes)  # nn.Linear alone would draw from the global generator
    vector_to_parameters(torch.zeros(sum(weight.numel() for weight in head.parameters())), head.parameters())
    places, generator = [torch.tensor(site) for site in sites], torch.Generator().manual_seed(seed)
    total = sum(len(place) for place in places)
    for _ in range(settings.rounds):
        before, changes = parameters_to_vector(head.parameters()).detach(), []
        for own in places:
            update = client_update(head, tokens[own], labels[own], settings.client, generator)
            after = torch.cat([update.state[name].flatten() for name, _ in head.named_parameters()])
            changes.append((len(places) * update.count / total * (after - before).double()).numpy())
        change = torch.from_numpy(np.asarray(aggregate(changes))).float()
        vector_to_parameters(before + change, head.parameters())
    return head.requires_grad_(False)


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


def _logits(head: nn.Linear, tokens: np.ndarray) -> np.ndarray:
    return head(torch.from_numpy(tokens).float()).numpy()


def _result(configuration: str, logits: np.ndarray, test: TokenSet) -> Result:
    return Result(configuration, logits, measure(logits, test.labels, test.groups))
