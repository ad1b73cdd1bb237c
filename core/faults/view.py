"""What a page shows of a damaged network: its layers, one of its weights, and what the bundle then says of a scan."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from core import compute
from core.bundles import Bundle
from core.defence.examination import Examination, Prediction
from core.defence.pipeline import examine
from core.faults.bits import FORMATS, flip_bit
from core.faults.draws import CampaignSettings, check_settings, chosen_sites, draw_faults
from core.faults.guard import Guard
from core.faults.parts import float_tensors, network_parts
from core.faults.ranges import Ranges, learn_ranges
from core.faults.recompute import Recompute
from core.faults.samples import labelled_samples
from core.faults.sites import Fault, activation_sites, damaged, fault_sites
from core.models.mae import MaskedAutoencoder
from core.scans import Scan, Window
from core.scans.samples import sample_scans

MAE = "mae"
Network = nn.Module  # by this name for pages, which know nothing of torch


class Layer(NamedTuple):
    """A stretch of a network, as a strip shows it.

    name: as `CampaignSettings.tensor` takes it; part: the expert or gate of a mixture that it belongs to, '' elsewhere;
    tensors: name → number of elements, of the parameters and float buffers in it.
    """

    name: str
    part: str
    tensors: Mapping[str, int]

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return sum(self.tensors.values())


class GuardReport(NamedTuple):
    """What the guard saw and did before one scan was answered.

    repairs: whether it may repair; damaged: tensors that aren't what they were; outcomes: what became of each, as
    `RepairReport` says, empty without repair; stages: where activations left their limits; checked_ms, repaired_ms:
    time for looking, and for repairing.
    """

    repairs: bool
    damaged: tuple[str, ...]
    outcomes: Mapping[str, str]
    stages: tuple[str, ...]
    checked_ms: float
    repaired_ms: float

    @property
    def alarm(self) -> bool:
        """Whether it noticed anything."""
        return bool(self.damaged or self.stages)

    @property
    def withholds(self) -> bool:
        """Whether the scan gets no label: it noticed damage and may not repair."""
        return self.alarm and not self.repairs


class GuardedNetwork(nn.Module):
    """A network with activation flips, whose stages' exits are watched and, where `clip` says so, cut to their limits.

    Attributes
    ----------
    left : list of str
        Stages whose limits were left so far, each once.
    """

    def __init__(self, copy: nn.Module, faults: Sequence[Fault], ranges: Ranges, clip: bool):
        super().__init__()
        self.copy, self.faults, self.ranges, self.clip = copy, tuple(faults), ranges, clip
        self.left: list[str] = []

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels in [0, 1] → (B, classes) logits."""
        return Recompute(self.copy, pixels, exit=self._exit).logits_with(self.copy, self.faults)

    def _exit(self, stage: str, values: Tensor) -> Tensor:
        if stage not in self.left and self.ranges.outside(stage, values).any():
            self.left.append(stage)
        return self.ranges.clipped(stage, values) if self.clip else values


def networks(bundle: Bundle) -> tuple[str, ...]:
    """What can be damaged: every classifier, and 'mae' where the bundle has one."""
    return (*bundle.classifiers, *((MAE,) if bundle.mae is not None else ()))


def network_of(bundle: Bundle, name: str) -> nn.Module:
    """Return a network by its name in `networks`; shared, never to be modified. ValueError without such an MAE."""
    if name != MAE:
        return bundle.classifiers[name]
    if bundle.mae is None:
        raise ValueError(f"The bundle {bundle.name} has no MAE that could be damaged; choose a classifier.")
    return bundle.mae


def forms(network: nn.Module) -> tuple[str, ...]:
    """The number formats whose bits it can be shown in: one that is held in bfloat16 has no others."""
    narrow = any(weight.dtype == torch.bfloat16 for weight in network.parameters())
    return ("bfloat16",) if narrow else ("float32", "bfloat16")


def layers(network: nn.Module) -> tuple[Layer, ...]:
    """The stages of a network, in the order that they are run; where it has none, its blocks by their names."""
    sites = fault_sites(network)
    chains = network_parts(network)
    if sum(map(len, chains.values())) == 1:
        return _blocks(sites)
    found = []
    for part, stages in chains.items():
        for stage in stages:
            held = {name: count for name, count in sites.items() if stage.holds(name)}
            found.append(Layer(stage.name, part, held))
    return tuple(layer for layer in found if layer.tensors)


def _blocks(sites: Mapping[str, int]) -> tuple[Layer, ...]:
    """Tensors by the first names of their modules, with the number of a block: 'blocks.3', 'norm'."""
    groups: dict[str, dict[str, int]] = {}
    for name, count in sites.items():
        first, *rest = name.split(".")
        key = f"{first}.{rest[0]}" if rest and rest[0].isdigit() else first
        groups.setdefault(key, {})[name] = count
    return tuple(Layer(name, "", held) for name, held in groups.items())


def stored_value(network: nn.Module, tensor: str, index: int, form: str, bits: Sequence[int] = ()) -> float:
    """What one number of a tensor is worth when it is stored in a format, with these bits of it flipped."""
    values = float_tensors(network)[tensor].reshape(-1)[index : index + 1].to(FORMATS[form].dtype, copy=True)
    for bit in bits:
        flip_bit(values, 0, bit, form)
    return values.item()


def largest_weight(network: nn.Module, tensor: str) -> int:
    """Index of the number with the largest magnitude, in row-major order."""
    return int(float_tensors(network)[tensor].abs().reshape(-1).argmax())


def random_place(count: int, seed: int) -> int:
    """One of 0 to `count` - 1."""
    return int(torch.randint(count, (1,), generator=torch.Generator().manual_seed(seed)))


def activation_sizes(network: nn.Module, pixels: np.ndarray) -> dict[str, int]:
    """Name → number of elements of what can be hit when (C, H, W) pixels run through a network."""
    return activation_sites(network, torch.from_numpy(pixels)[None].to(compute.device()))


def random_faults(network: nn.Module, pixels: np.ndarray, settings: CampaignSettings, draw: int) -> tuple[Fault, ...]:
    """The faults of the trial `draw` of a campaign; the (C, H, W) pixels of a scan tell how large activations are.

    Raises
    ------
    ValueError
        More flips than there are bits, or nothing of this name; one sentence.
    """
    sites = chosen_sites(network, torch.from_numpy(pixels)[None].to(compute.device()), settings)
    check_settings(settings, sites)
    return draw_faults(sites, settings, draw)


def finite(prediction: Prediction) -> bool:
    """Whether a network gave numbers at all: a damaged one may answer NaN."""
    return all(map(math.isfinite, prediction.probabilities.values()))


def same_answer(first: Prediction, second: Prediction) -> bool:
    """Whether two answers name one class; an answer without numbers is like no other."""
    return finite(first) and finite(second) and first.label == second.label


def answered(
    scan: Scan,
    bundle: Bundle,
    classifier: str,
    *,
    frame: int | None = None,
    window: Window | None = None,
    seed: int = 0,
) -> Examination:
    """`core.examine`; with a classifier that has no thresholds, its own answer without detection and purification."""
    if classifier not in bundle.limits:
        bundle = dataclasses.replace(bundle, mae=None, diffusion=None)
    return examine(scan, bundle, frame=frame, window=window, classifier=classifier, seed=seed)


def with_network(bundle: Bundle, name: str, network: nn.Module) -> Bundle:
    """The bundle with another network in the place of one of its own; everything else is shared."""
    if name == MAE:
        return dataclasses.replace(bundle, mae=cast(MaskedAutoencoder, network))
    return dataclasses.replace(bundle, classifiers={**bundle.classifiers, name: network})


def answered_with(
    scan: Scan,
    bundle: Bundle,
    network: str,
    faults: Sequence[Fault],
    classifier: str,
    *,
    guard: Guard | None = None,
    repair: bool = False,
    frame: int | None = None,
    window: Window | None = None,
    seed: int = 0,
) -> tuple[Examination, GuardReport | None]:
    """`answered` by a bundle of which one network is damaged, and what the guard saw; the bundle is left as it is.

    Parameters
    ----------
    network : str
        Which network bears the faults, of `networks`; `classifier` is the one that is asked.
    guard : Guard, optional
        Of the undamaged network; without it the damage goes unnoticed.
    repair : bool
        Put the weights right and cut activations to their limits before the scan is answered, or only look.
    """
    copy, report = guarded(network_of(bundle, network), faults, guard, repair)
    damaged_one = with_network(bundle, network, copy)
    exam = answered(scan, damaged_one, classifier, frame=frame, window=window, seed=seed)
    if report and isinstance(copy, GuardedNetwork):
        report = report._replace(stages=tuple(copy.left))
    return exam, report


def guarded(
    network: nn.Module, faults: Sequence[Fault], guard: Guard | None, repair: bool
) -> tuple[nn.Module, GuardReport | None]:
    """A damaged copy as it leaves the guard, and what the guard did to its weights.

    Activations are watched only while the copy runs: where the guard has limits for them, it comes as a
    `GuardedNetwork`.
    """
    if guard is None:
        return damaged(network, faults), None
    copy = damaged(network, [fault for fault in faults if fault.kind == "weight"])
    start = time.perf_counter()
    found = guard.check(copy)
    checked = time.perf_counter()
    outcomes = guard.repair(copy).outcomes if repair and found else {}
    repaired = time.perf_counter()
    report = GuardReport(repair, found, outcomes, (), 1000 * (checked - start), 1000 * (repaired - checked))
    activations = [fault for fault in faults if fault.kind == "activation"]
    if guard.ranges:
        return GuardedNetwork(copy, activations, guard.ranges, repair), report
    return damaged(copy, activations), report


def guard_of(bundle: Bundle, name: str, ranges: Ranges | None) -> Guard:
    """The guard of one network, with limits on activations where they are given, or can be learned on the samples."""
    file = bundle.folder / bundle.facts["mae"]["file"] if name == MAE else bundle.weights_file(name)
    network = network_of(bundle, name)
    if ranges is None and name != MAE and any(sample.origin == "synthetic" for sample in sample_scans(bundle.name)):
        ranges = learn_ranges(network, labelled_samples(bundle)[0])
    return Guard(network, file, ranges)
