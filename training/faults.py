"""Measure what bit flips, attacks and corruptions do to a bundle's classifiers, and what the guard makes of it.

    python -m training.faults --data br35h.npz
    python -m training.faults --data br35h.npz --only bits --only worst_case --classifier mamba

The studies are those of 'Is Mamba reliable for medical imaging?', and those that it leaves open: a guard, and flips and
attacks together. All run on the same validation scans. They are written into faults.json of the bundle's folder one by
one, and what was recorded with the weights of today is not measured again.
"""

import argparse
import json
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from core import compute
from core.attacks import AttackSettings, attack_steps
from core.bundles import WEIGHTS, Bundle, load_bundle
from core.evaluation.datasets import Dataset, load_for
from core.faults import (
    FORMATS,
    CampaignSettings,
    Fault,
    campaign_summary,
    damaged,
    fault_sites,
    measure_faults,
    network_parts,
    run_campaign,
    worst_case_steps,
)
from core.faults.guard import GUARDS, Guard
from core.faults.guard_cost import measure
from core.faults.ranges import Ranges, learn_ranges, out_of_range
from core.faults.record import FILE, STUDIES, Outcome, weights_today
from core.faults.sites import activation_sites
from core.models.experts import MixtureOfExperts
from core.statistics import bootstrap_interval
from training.common import AUGMENTATIONS, augmented

SCANS = 64
CALIBRATION = 512  # training scans that ranges are learned on, as they are and augmented
CLEAN_RUNS = 1000
FLIPS = (1, 2, 4, 8, 16)
LAYER_FLIPS = 16  # at once in one layer: a single flip is harmless too often to tell layers apart in a few trials
WORST_FLIPS = 3
ATTACK_EPS = (2, 4, 8)
PGD_STEPS = 10
CORRUPTED = ("patchdrop", "gaussian-noise", "defocus-blur")
SEVERITIES = (1, 2, 3, 4, 5)
MAP_FLIPS, MAP_EPS = (1, 4, 16), (0, 1, 2, 4, 8)
EXPERT_FLIPS = (1, 16)


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
        """The file that damaged tensors are reloaded from."""
        return WEIGHTS / self.bundle.name / self.bundle.facts["classifiers"][self.classifier]["file"]

    @property
    def augment(self) -> Callable[[Tensor, torch.Generator], Tensor]:
        """How scans are changed in training."""
        return AUGMENTATIONS.get(self.bundle.name, augmented)

    @property
    def effort(self) -> Effort:
        """How often everything is tried: a mixture takes longer."""
        return MIXTURE if isinstance(self.network, MixtureOfExperts) else WHOLE

    def guard(self) -> Guard:
        """A guard of the undamaged network."""
        return Guard(self.network, self.weights, self.ranges)

    def attack(self, method: str, eps: float) -> Tensor:
        """The scans attacked against the undamaged network; as they are where ε is 0."""
        if not eps:
            return self.val.pixels
        if (method, eps) not in self.attacked:
            settings = AttackSettings(method, eps=eps, steps=PGD_STEPS if method == "pgd" else None)
            self.attacked[method, eps] = self.changed(settings)
        return self.attacked[method, eps]

    def changed(self, settings: AttackSettings) -> Tensor:
        """The scans after an attack or a corruption."""
        parts = []
        for first, (pixels, labels) in enumerate(zip(self.val.pixels.split(16), self.val.labels.split(16))):
            for step in attack_steps(self.network, pixels, labels, settings, self.seed + first):
                last = step.attacked
            parts.append(last)
        return torch.cat(parts)

    def trials(
        self, settings: CampaignSettings, pixels: Tensor | None = None, network: nn.Module | None = None, **guard: Any
    ) -> dict[str, Any]:
        """What a campaign says, as a row keeps it."""
        network, pixels = network or self.network, self.val.pixels if pixels is None else pixels
        trials = run_campaign(network, pixels, self.val.labels, settings, **guard)
        return outcome(campaign_summary(list(trials)))

    def undamaged(self, pixels: Tensor, network: nn.Module | None = None) -> dict[str, Any]:
        """The same of one pass without any fault; the interval is over groups of scans."""
        figures = accuracy(network or self.network, pixels, self.val)
        rest = dict.fromkeys(("label_changes", "non_finite"), 0.0)
        return {"trials": 1, "worst": figures["accuracy"]} | figures | rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--classifier", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--only", action="append", choices=STUDIES, metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    data = load_for(bundle, options.data)
    record_faults(data, bundle, options)


def record_faults(data: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure every study that isn't recorded with the weights of today.

    Parameters
    ----------
    data : Dataset
        With the splits train and val.
    options : Namespace
        `data` and `seed`; `classifier` and `only`, lists of names, narrow the work down. With `recorded` nothing is
        measured.
    """
    if getattr(options, "recorded", False):
        return
    place = compute.device()
    val = on(place, data.split("val").limited(SCANS, options.seed))
    train = on(place, data.split("train").limited(CALIBRATION, options.seed))
    for classifier in getattr(options, "classifier", None) or bundle.classifiers:
        bench = Bench(bundle, bundle.classifier_name(classifier), val, train, options.seed)
        record_classifier(bench, getattr(options, "only", None) or STUDIES, options.data.name)


def record_classifier(bench: Bench, studies: Sequence[str], data: str) -> None:
    """All that one classifier still lacks."""
    path = WEIGHTS / bench.bundle.name / FILE
    made_with = weights_today(bench.bundle, bench.classifier)

    def known() -> dict[str, Any]:
        return read(path).get(bench.classifier, {})

    def fresh(study: str) -> bool:
        return known().get(study, {}).get("made_with") == made_with

    if fresh("ranges"):
        bench.ranges = Ranges.from_json(known()["ranges"])
    else:
        bench.ranges = calibrated(bench)
        keep(path, bench.classifier, "ranges", {"made_with": made_with, **bench.ranges.to_json()})
    for study in studies:
        if fresh(study):
            continue
        started = time.perf_counter()
        rows = list(tqdm(MEASURES[study](bench), desc=f"{bench.classifier}: {study}", unit="row", disable=None))
        entry = {"made_with": made_with, "command": command(bench, study, data), "n": len(bench.val)}
        entry |= {"seed": bench.seed, "minutes": round((time.perf_counter() - started) / 60, 2), "rows": rows}
        keep(path, bench.classifier, study, entry)


def calibrated(bench: Bench) -> Ranges:
    """Ranges of the training scans, as they are and augmented as in training."""
    changed = bench.augment(bench.train.pixels, torch.Generator().manual_seed(bench.seed))
    return learn_ranges(bench.network, torch.cat([bench.train.pixels, changed]))


def flips_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Random flips anywhere in the weights; none at first."""
    yield {"flips": 0} | bench.undamaged(bench.val.pixels)
    for flips in FLIPS:
        trials = bench.effort.one_flip if flips == 1 else bench.effort.flips
        yield {"flips": flips} | bench.trials(CampaignSettings(flips, trials, seed=bench.seed))


def layers_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Flips within one stage, then within one tensor."""
    for level, sizes in (("stage", stage_sizes(bench.network)), ("tensor", fault_sites(bench.network))):
        trials = bench.effort.stages if level == "stage" else bench.effort.tensors
        for name, elements in sizes.items() if trials else ():
            settings = CampaignSettings(LAYER_FLIPS, trials, tensor=name, seed=bench.seed)
            place = {"name": name, "level": level, "elements": elements, "flips": LAYER_FLIPS}
            yield place | bench.trials(settings)


def stage_sizes(network: nn.Module) -> dict[str, int]:
    """Stage → how many numbers its weights are; stages without any are left out."""
    sites = fault_sites(network)
    sizes = {
        stage.name: sum(count for name, count in sites.items() if stage.holds(name))
        for stages in network_parts(network).values()
        for stage in stages
    }
    return {name: count for name, count in sizes.items() if count}


def bits_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """One flip of each bit position, in both formats."""
    for form, layout in FORMATS.items():
        for bit in range(layout.bits):
            settings = CampaignSettings(1, bench.effort.bits, form=form, bit=bit, seed=bench.seed)
            yield {"form": form, "bit": bit, "field": layout.field(bit)} | bench.trials(settings)


def activations_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """One flip in what each stage puts out."""
    sizes = activation_sites(bench.network, bench.val.pixels)
    for stages in network_parts(bench.network).values():
        for name in (stage.name for stage in stages):
            settings = CampaignSettings(1, bench.effort.activations, "activation", tensor=name, seed=bench.seed)
            yield {"stage": name, "elements": sizes[name]} | bench.trials(settings)


def worst_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The smallest sets that do the most damage, and whether the guard sees and repairs them."""
    guard = bench.guard()
    for silent in (False, True):
        for found in worst_sets(bench, silent):
            copy = damaged(bench.network, found.faults)
            detected = bool(guard.check(copy))
            yield found.row | {"detected": detected, "repaired": guard.repair(copy).whole}


def worst_sets(bench: Bench, silent: bool) -> list[Round]:
    """The rounds of the search, run once."""
    if silent not in bench.worst:
        bench.worst[silent], faults, started = [], (), time.perf_counter()
        search = worst_case_steps(
            bench.network, bench.val.pixels, bench.val.labels, budget=WORST_FLIPS, silent=silent, seed=bench.seed
        )
        for step in search:
            faults += (step.fault,)
            place, now = asdict(step.fault), time.perf_counter()
            row = {"silent": silent, "index": step.index, "element": place.pop("index")}
            row |= {name: place[name] for name in ("tensor", "bit", "form")}
            row |= {"field": FORMATS[step.fault.form].field(step.fault.bit), "seconds": now - started}
            row |= {name: getattr(step, name) for name in ("accuracy", "loss", "tried")}
            bench.worst[silent].append(Round(row, faults))
            started = now
    return bench.worst[silent]


def guard_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The guard off, detecting and repairing, against random flips and against the worst ones."""
    for guard in GUARDS:
        how = {"guard": guard, "weights": bench.weights, "ranges": bench.ranges}
        for damage, kind in (("weights", "weight"), ("activations", "activation")):
            for flips in (1, 16):
                settings = CampaignSettings(flips, bench.effort.guard, kind, seed=bench.seed)
                yield {"damage": damage, "flips": flips, "guard": guard} | bench.trials(settings, **how)
        for damage, silent in (("worst case", False), ("silent worst case", True)):
            for found in worst_sets(bench, silent)[-1:]:
                trial = measure_faults(bench.network, bench.val.pixels, bench.val.labels, found.faults, **how)
                row = {"damage": damage, "flips": len(found.faults), "guard": guard}
                yield row | outcome(campaign_summary([trial]))


def clean_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Whole passes of the undamaged network: weights checked, every stage watched, on scans that it has never seen.

    Each is a validation scan turned, mirrored and with other contrast; ranges were learned on training scans.
    """
    generator, guard = torch.Generator().manual_seed(bench.seed), bench.guard()
    drawn = torch.randint(len(bench.val), (CLEAN_RUNS,), generator=generator)
    by_weights = by_ranges = 0
    for places in drawn.split(16):
        pixels = bench.augment(bench.val.pixels[places.to(bench.val.pixels.device)], generator)
        by_ranges += int(out_of_range(bench.network, pixels, bench.ranges).sum())
        by_weights += sum(bool(guard.check(bench.network)) for _ in places)
    scans = "validation scans, augmented"
    yield {"scans": scans, "runs": CLEAN_RUNS, "weight_alarms": by_weights, "range_alarms": by_ranges}


def cost_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The guard's cost a scan, on one thread and on all."""
    copy, threads = damaged(bench.network, ()), torch.get_num_threads()
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        try:
            cost = measure(bench.guard(), copy, bench.val.pixels[:1])
        finally:
            torch.set_num_threads(threads)
        yield {"threads": count, "load": os.getloadavg()[0] / os.cpu_count(), **cost._asdict()}


def attacks_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """FGSM and PGD against the undamaged network; the scans as they are at first."""
    yield {"method": "none", "eps": 0, "steps": 0} | accuracy(bench.network, bench.val.pixels, bench.val)
    for method, steps in (("fgsm", 1), ("pgd", PGD_STEPS)):
        for eps in ATTACK_EPS:
            attacked = bench.attack(method, eps)
            yield {"method": method, "eps": eps, "steps": steps} | accuracy(bench.network, attacked, bench.val)


def corruptions_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The paper's corruptions at five severities."""
    for name in CORRUPTED:
        for severity in SEVERITIES:
            changed = bench.changed(AttackSettings(name, severity=severity))
            yield {"name": name, "severity": severity} | accuracy(bench.network, changed, bench.val)


def map_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Flips and attacks together: the same flips under every ε."""
    for eps in MAP_EPS:
        pixels = bench.attack("pgd", eps)
        yield {"flips": 0, "eps": eps} | bench.undamaged(pixels)
        for flips in MAP_FLIPS:
            settings = CampaignSettings(flips, bench.effort.map, seed=bench.seed)
            yield {"flips": flips, "eps": eps} | bench.trials(settings, pixels)


def experts_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The experts of a mixture, each asked alone: one architecture, trained in different ways."""
    for index, expert in enumerate(bench.bundle.experts(bench.classifier)):
        network = bench.network.experts[index]
        row = {"expert": expert.name, "training": expert.training}
        yield row | {"flips": 0} | bench.undamaged(bench.val.pixels, network)
        for flips in EXPERT_FLIPS:
            settings = CampaignSettings(flips, bench.effort.experts, seed=bench.seed)
            yield row | {"flips": flips} | bench.trials(settings, network=network)


MEASURES: Mapping[str, Callable[[Bench], Iterator[dict[str, Any]]]] = {
    "flips": flips_rows,
    "layers": layers_rows,
    "bits": bits_rows,
    "activations": activations_rows,
    "worst_case": worst_rows,
    "guard": guard_rows,
    "clean_runs": clean_rows,
    "cost": cost_rows,
    "attacks": attacks_rows,
    "corruptions": corruptions_rows,
    "map": map_rows,
    "experts": experts_rows,
}


@torch.no_grad()
def accuracy(network: nn.Module, pixels: Tensor, val: Dataset) -> dict[str, Any]:
    """Share of scans answered right, and its interval over near-duplicate groups."""
    answers = torch.cat([network(part).argmax(1) for part in pixels.split(16)])
    hits = (answers == val.labels).cpu().numpy().astype(float)
    return {"accuracy": float(np.mean(hits)), "interval": bootstrap_interval(hits, val.groups)}


def outcome(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a row keeps of a campaign's summary."""
    return {entry.name: summary[entry.name] for entry in fields(Outcome)}


def on(place: torch.device, data: Dataset) -> Dataset:
    """The same scans on the device."""
    return Dataset(data.pixels.to(place), data.labels.to(place), data.groups, data.splits, data.sha256)


def command(bench: Bench, study: str, data: str) -> str:
    """What measures one study on its own."""
    words = ["python", "-m", "training.faults", "--data", data, "--bundle", bench.bundle.name]
    words += ["--classifier", bench.classifier, "--only", study]
    return shlex.join(words + (["--seed", str(bench.seed)] if bench.seed else []))


def read(path: Path) -> dict[str, Any]:
    """faults.json as it is; empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def keep(path: Path, classifier: str, study: str, entry: dict[str, Any]) -> None:
    """Write one study; what else is in the file stays."""
    record = read(path)
    record.setdefault(classifier, {})[study] = entry
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
