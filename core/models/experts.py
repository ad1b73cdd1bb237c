"""A mixture of experts whose gate, and what each expert says, can be looked at.

Both published mixtures that Purescan serves have this form. MedFedPure (arXiv 2511.11625) calls the gate an attention
network and trains its experts as hospitals do; Divided We Fall (arXiv 2512.20821, section 3) trains its experts on
attacks, and then everything together.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.models.resnet import PIXEL_MEAN, PIXEL_STD, NarrowResNet18

EXPERT = re.compile(r"experts\.\d+\.(.+)")
NONE_LEFT = "All experts are switched off, so that nobody is left to answer; switch at least one on."


class Opinions(NamedTuple):
    """What a mixture makes of a batch.

    weights: (B, K) how much each expert counts, in [0, 1], summing to one over K; logits: (B, K, classes) what each
    expert says on its own; combined: (B, classes) their weighted sum, the mixture's answer.
    """

    weights: Tensor
    logits: Tensor
    combined: Tensor


class Gate(nn.Module):
    """Attention over the experts: a small convolutional network turns the scan into a query, and each expert has a key.

    Parameters
    ----------
    in_channels : int
        1 for grey scans, 3 for colour.
    count : int
        Number of experts, K.
    width : int
        Channels of the first of three stages, doubled from stage to stage.
    """

    def __init__(self, in_channels: int, count: int, width: int = 16):
        super().__init__()
        channels = (in_channels, width, 2 * width, 4 * width)
        stages = [
            nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            for before, after in zip(channels, channels[1:])
        ]
        self.stages = nn.Sequential(*stages)
        self.query = nn.Linear(4 * width, 4 * width)
        self.keys = nn.Parameter(torch.randn(count, 4 * width))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, K) scores before the softmax."""
        small = functional.avg_pool2d((pixels - PIXEL_MEAN) / PIXEL_STD, 2)
        query = self.query(self.stages(small).mean((2, 3)))
        return query @ self.keys.T / query.shape[1] ** 0.5


class MixtureOfExperts(nn.Module):
    """Experts, and the gate that weighs them for each scan.

    Parameters
    ----------
    experts : sequence of Module
        Each (B, C, H, W) → (B, classes) logits.
    gate : Module
        (B, C, H, W) → (B, K) scores.
    hard : bool
        Ask only the expert whom the gate prefers, rather than all in proportion. The gradient of the choice is that
        of the soft weights (straight-through, Bengio et al. 2013).
    """

    def __init__(self, experts: Sequence[nn.Module], gate: nn.Module, hard: bool = False):
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.gate = gate
        self.hard = hard

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, classes) logits."""
        return self.opinions(pixels).combined

    def opinions(self, pixels: Tensor) -> Opinions:
        """The gate, each expert's logits, and the answer, for (B, C, H, W) pixels in [0, 1]."""
        logits = torch.stack([expert(pixels) for expert in self.experts], dim=1)
        weights = self.weights(pixels)
        return Opinions(weights, logits, combine(weights, logits))

    def weights(self, pixels: Tensor) -> Tensor:
        """(B, K) the gate alone, for (B, C, H, W) pixels in [0, 1]."""
        return self.weigh(self.gate(pixels))

    def weigh(self, scores: Tensor) -> Tensor:
        """(B, K) the gate's scores → how much each expert counts."""
        weights = scores.softmax(1)
        return hardened(weights) if self.hard else weights


def combine(weights: Tensor, logits: Tensor) -> Tensor:
    """(B, K) weights and (B, K, classes) logits → (B, classes), the sum over experts of weight times logits."""
    return (weights.unsqueeze(-1) * logits).sum(1)


def without(opinions: Opinions, switched_on: Sequence[bool]) -> Opinions:
    """The same opinions with some experts switched off; those left share the weight in their old proportions.

    Parameters
    ----------
    opinions : Opinions
        Of all K experts.
    switched_on : sequence of bool
        K of them. Where the gate gave those left no weight at all, they share it equally.

    Raises
    ------
    ValueError
        Another number than K, or nobody is left; one sentence.
    """
    count = opinions.weights.shape[1]
    if len(switched_on) != count:
        raise ValueError(f"The mixture has {count} experts, not {len(switched_on)}; say for each whether it is on.")
    if not any(switched_on):
        raise ValueError(NONE_LEFT)
    left = torch.tensor(list(switched_on), dtype=opinions.weights.dtype, device=opinions.weights.device)
    kept = opinions.weights * left
    total = kept.sum(1, keepdim=True)
    weights = torch.where(total > 0, kept / total.clamp_min(1e-12), (left / left.sum()).expand_as(kept))
    return Opinions(weights, opinions.logits, combine(weights, opinions.logits))


def hardened(weights: Tensor) -> Tensor:
    """(B, K) weights → all to the largest, with the gradient of the soft ones."""
    chosen = functional.one_hot(weights.argmax(1), weights.shape[1]).to(weights.dtype)
    return chosen + weights - weights.detach()


def resnet_mixture(
    in_channels: int, class_count: int, count: int, width: int, shrink: int = 1, hard: bool = False
) -> MixtureOfExperts:
    """A mixture of `count` ResNet-18 of one width; parameters as of `NarrowResNet18` and `MixtureOfExperts`."""
    experts = [NarrowResNet18(in_channels, class_count, width, shrink) for _ in range(count)]
    return MixtureOfExperts(experts, Gate(in_channels, count), hard)


def stored_name(name: str, held: Container[str]) -> str:
    """The name of a tensor in a file that holds these: one that all experts share lies there once."""
    expert = EXPERT.fullmatch(name)
    return f"experts.shared.{expert[1]}" if expert and name not in held else name


def spread_out(weights: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The weights of a file under the names that a network has for them; what it has no name for stays as it is."""
    kept = {name: stored_name(name, weights) for name in names}
    found = {name: weights[key] for name, key in kept.items() if key in weights}
    return found | {key: weights[key] for key in weights.keys() - kept.values()}


def shared_once(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `spread_out` undoes: tensors that are equal in all experts of a mixture under one name."""
    parts: dict[str, list[str]] = {}
    for name in weights:
        if expert := EXPERT.fullmatch(name):
            parts.setdefault(expert[1], []).append(name)
    shared = {
        part: names
        for part, names in parts.items()
        if len(names) > 1 and all(torch.equal(weights[names[0]], weights[name]) for name in names[1:])
    }
    gone = {name for names in shared.values() for name in names}
    once = {f"experts.shared.{part}": weights[names[0]] for part, names in shared.items()}
    return once | {name: value for name, value in weights.items() if name not in gone}
