"""One classifier with the scans that faults are measured on, and how often everything is tried."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core.attacks import AttackSettings
from core.bundles import Bundle
from core.evaluation.datasets import Dataset
from core.faults import FORMATS, CampaignSettings, Fault, campaign_summary, run_campaign, worst_case_steps
from core.faults.guard import Guard
from core.faults.ranges import Ranges
from core.faults.record import Outcome
from core.models.experts import MixtureOfExperts
from core.statistics import bootstrap_interval
from training.conditions import pixels_under
from training.recipes.augmentation import FAITHFUL, faithful_scans

PGD_STEPS = 10
WORST_FLIPS = 3


@dataclass(frozen=True)
class Effort:
    """Trials for each row of a study; 0 leaves the rows out."""

    one_flip: int
    flips: int
    stages: int
    tensors: int
    bits: int
    activations: int
    guard: int
    map: int
    experts: int


WHOLE = Effort(one_flip=200, flips=80, stages=16, tensors=3, bits=12, activations=12, guard=20, map=40, experts=0)
MIXTURE = Effort(one_flip=60, flips=30, stages=4, tensors=0, bits=6, activations=3, guard=8, map=16, experts=20)


class Round(NamedTuple):
    """A round of the worst-case search: the SearchStep's row, and all faults so far."""

    row: dict[str, Any]
    faults: tuple[Fault, ...]


@dataclass
class Bench:
    """One classifier with the scans that it is measured on, and what several studies need of it."""

    bundle: Bundle
    classifier: str
    val: Dataset
    train: Dataset
    seed: int
    ranges: Ranges | None = None
    attacked: dict[tuple[str, float], Tensor] = field(default_factory=dict)
    worst: dict[bool, list[Round]] = field(default_factory=dict)

    @property
    def network(self) -> nn.Module:
        """Shared: nothing here changes it."""
        return self.bundle.classifiers[self.classifier]

    @property
    def weights(self) -> Path:
        """Return the file that damaged tensors are reloaded from."""
        return self.bundle.folder / self.bundle.facts["classifiers"][self.classifier]["file"]

    @property
    def augment(self) -> Callable[[Tensor, torch.Generator], Tensor]:
        """How scans are changed in training."""
        return FAITHFUL.get(self.bundle.name, faithful_scans)

    @property
    def effort(self) -> Effort:
        """How often everything is tried: a mixture takes longer."""
        return MIXTURE if isinstance(self.network, MixtureOfExperts) else WHOLE

    def guard(self) -> Guard:
        """Return a guard of the undamaged network."""
        return Guard(self.network, self.weights, self.ranges)

    def attack(self, method: str, eps: float) -> Tensor:
        """Return the scans attacked against the undamaged network; as they are where ε is 0."""
        if not eps:
            return self.val.pixels
        if (method, eps) not in self.attacked:
            settings = AttackSettings(method, eps=eps, steps=PGD_STEPS if method == "pgd" else None)
            self.attacked[method, eps] = self.changed(settings)
        return self.attacked[method, eps]

    def changed(self, settings: AttackSettings) -> Tensor:
        """Return the scans after an attack or a corruption."""
        parts = enumerate(zip(self.val.pixels.split(16), self.val.labels.split(16)))
        return torch.cat([pixels_under(settings, self.network, x, y, self.seed + first) for first, (x, y) in parts])

    def trials(
        self, settings: CampaignSettings, pixels: Tensor | None = None, network: nn.Module | None = None, **guard: Any
    ) -> dict[str, Any]:
        """Return what a campaign says, as a row keeps it."""
        network, pixels = network or self.network, self.val.pixels if pixels is None else pixels
        trials = run_campaign(network, pixels, self.val.labels, settings, **guard)
        return outcome(campaign_summary(list(trials)))

    def undamaged(self, pixels: Tensor, network: nn.Module | None = None) -> dict[str, Any]:
        """Return the same of one pass without any fault; the interval is over groups of scans."""
        figures = accuracy(network or self.network, pixels, self.val)
        rest = dict.fromkeys(("label_changes", "non_finite"), 0.0)
        return {"trials": 1, "worst": figures["accuracy"]} | figures | rest


@torch.no_grad()
def accuracy(network: nn.Module, pixels: Tensor, val: Dataset) -> dict[str, Any]:
    """Return the share of scans answered right, and its interval over near-duplicate groups."""
    answers = torch.cat([network(part).argmax(1) for part in pixels.split(16)])
    hits = (answers == val.labels).cpu().numpy().astype(float)
    return {"accuracy": float(np.mean(hits)), "interval": bootstrap_interval(hits.tolist(), val.groups)}


def outcome(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row keeps of a campaign's summary."""
    return {entry.name: summary[entry.name] for entry in fields(Outcome)}


def worst_sets(bench: Bench, silent: bool) -> list[Round]:
    """Return the rounds of the search, which is run once."""
    if silent not in bench.worst:
        bench.worst[silent], started = [], time.perf_counter()
        faults: tuple[Fault, ...] = ()
        search = worst_case_steps(
            bench.network, bench.val.pixels, bench.val.labels, budget=WORST_FLIPS, silent=silent, seed=bench.seed
        )
        for step in search:
            faults += (step.fault,)
            place, now = asdict(step.fault), time.perf_counter()
            row = {"silent": silent, "index": step.index, "element": place.pop("index")}
            row |= {name: place[name] for name in ("tensor", "bit", "form")}
            row |= {"field": FORMATS[step.fault.form].field(step.fault.bit), "seconds": now - started}
            row |= {name: getattr(step, name) for name in ("accuracy", "non_finite", "loss", "tried")}
            bench.worst[silent].append(Round(row, faults))
            started = now
    return bench.worst[silent]
