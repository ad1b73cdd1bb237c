"""Federated averaging (McMahan et al. 2017): what a hospital does in a round, and what the server does afterwards.

Functions of weights and numbers only, so that a loop in one process or a federation engine can call them.
"""

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class ClientSettings:
    """How a hospital trains in one round: stochastic gradient descent with momentum, begun afresh every round.

    Attributes
    ----------
    steps, batch : int
        Optimiser steps, and images in each.
    lr, momentum, weight_decay : float
        As in torch.optim.SGD.
    """

    steps: int
    batch: int
    lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class Update:
    """What a hospital sends back: its network's state after local training, and its number of images n_k."""

    state: State
    count: int


def as_they_are(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """The pixels unchanged, where a hospital prepares nothing."""
    return pixels


def cross_entropy(network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    """() the mean cross-entropy of (B, C, H, W) pixels and (B,) labels."""
    return functional.cross_entropy(network(pixels), labels)


def client_update(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    settings: ClientSettings,
    generator: torch.Generator,
    prepare: Callable[[Tensor, torch.Generator], Tensor] = as_they_are,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor] = cross_entropy,
) -> Update:
    """Train a copy of `network` on one hospital's images (ClientUpdate in Algorithm 1).

    Parameters
    ----------
    network : Module
        With the weights that the round begins with; left as it is. What requires no gradient isn't trained, and the
        BatchNorm layers there keep their statistics.
    pixels, labels : Tensor
        (N, ...) and (N,), this hospital's own.
    settings : ClientSettings
        The same for all hospitals of a round.
    generator : Generator
        Shuffles, and draws what `prepare` needs.
    prepare : callable
        A batch of `pixels` and the generator → what the network takes.
    loss : callable
        Network, prepared batch, labels → ().
    """
    network = copy.deepcopy(network)
    for module in network.modules():
        module.training = any(parameter.requires_grad for parameter in module.parameters())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
    for chosen in islice(_batches(len(labels), settings.batch, generator), settings.steps):
        optimizer.zero_grad(set_to_none=True)
        loss(network, prepare(pixels[chosen], generator), labels[chosen]).backward()
        optimizer.step()
    return Update({name: value.detach() for name, value in network.state_dict().items()}, len(labels))


def weighted_average(states: Sequence[State], counts: Sequence[int]) -> dict[str, Tensor]:
    """Σ n_k w_k / Σ n_k over the hospitals k (section 2 and Algorithm 1), entry by entry, summed in float64.

    BatchNorm's running means and variances are averaged like weights, which leaves the variance between the hospitals'
    means out; its counter of batches, an integer, is averaged and rounded.

    Parameters
    ----------
    states : sequence of mapping of str to Tensor
        One a hospital, with the same names and shapes.
    counts : sequence of int
        n_k, images of each hospital.

    Raises
    ------
    ValueError
        No states, other names than the first's, or counts that don't fit.
    """
    if not states or len(states) != len(counts):
        raise ValueError(
            f"There are {len(states)} states and {len(counts)} counts; give one of both for each hospital."
        )
    if min(counts) < 0 or not sum(counts):
        raise ValueError(f"The counts {list(counts)} give no weights; they must not be negative, nor all be 0.")
    if any(set(state) != set(states[0]) for state in states):
        raise ValueError("The hospitals' states name different entries; all must come from the same network.")
    return {name: _average([state[name] for state in states], counts) for name in states[0]}


def next_states(updates: Sequence[Update], personal: Collection[str] = ()) -> list[dict[str, Tensor]]:
    """What each hospital begins the next round with: the average of what is shared, and its own of what is personal.

    Parameters
    ----------
    updates : sequence of Update
        One a hospital.
    personal : collection of str
        Names of entries that never leave their hospital; none of them is plain FedAvg.
    """
    sent = [{name: value for name, value in update.state.items() if name not in personal} for update in updates]
    shared = weighted_average(sent, [update.count for update in updates])
    return [{**update.state, **shared} for update in updates]


def personal_names(network: nn.Module, head: str) -> frozenset[str]:
    """Names of the entries that stay with each hospital: all of BatchNorm, and the head.

    BatchNorm's weights and statistics take in how a site's scanner shows scans (FedBN, Li et al. 2021, section 4.1),
    and the head takes in how often it sees each class (FedPer, Arivazhagan et al. 2019, Algorithms 1 and 2).

    Parameters
    ----------
    network : Module
        Its state's names are those returned.
    head : str
        Name of the module that holds the last layer.

    Raises
    ------
    ValueError
        The network has no such module.
    """
    modules = dict(network.named_modules())
    if head not in modules:
        raise ValueError(f"The network has no module named {head!r}; name the one that holds its last layer.")
    normal = [name for name, module in modules.items() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    own = tuple(f"{name}." for name in (head, *normal))
    return frozenset(name for name in network.state_dict() if name.startswith(own))


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless shuffled batches of indices, all of one size: BatchNorm suffers from a small remainder."""
    size = min(size, count)
    while True:
        yield from torch.randperm(count, generator=generator)[: count - count % size].split(size)


def _average(values: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    weighted = (count * value.double() for value, count in zip(values, counts))
    mean = sum(weighted, torch.zeros_like(values[0], dtype=torch.float64)) / sum(counts)
    return (mean if values[0].is_floating_point() else mean.round()).to(values[0].dtype)
