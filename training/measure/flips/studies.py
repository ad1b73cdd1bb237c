"""The studies of faults: each yields the rows that faults.json keeps of it, as `core.faults.record` reads them."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from core.attacks import AttackSettings
from core.faults import (
    FORMATS,
    CampaignSettings,
    campaign_summary,
    damaged,
    fault_sites,
    measure_faults,
    network_parts,
)
from core.faults.guard import GUARDS
from core.faults.guard_cost import measure
from core.faults.ranges import out_of_range
from core.faults.sites import activation_sites
from training.measure.flips.bench import PGD_STEPS, Bench, accuracy, outcome, worst_sets

CLEAN_RUNS = 1000
FLIPS = (1, 2, 4, 8, 16)
LAYER_FLIPS = 16  # at once in one layer: a single flip is harmless too often to tell layers apart in a few trials
ATTACK_EPS = (2, 4, 8)
CORRUPTED = ("patchdrop", "gaussian-noise", "defocus-blur")
SEVERITIES = (1, 2, 3, 4, 5)
MAP_FLIPS, MAP_EPS = (1, 4, 16), (0, 1, 2, 4, 8)
EXPERT_FLIPS = (1, 16)


def flips_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield random flips anywhere in the weights; none at first."""
    yield {"flips": 0} | bench.undamaged(bench.val.pixels)
    for flips in FLIPS:
        trials = bench.effort.one_flip if flips == 1 else bench.effort.flips
        yield {"flips": flips} | bench.trials(CampaignSettings(flips, trials, seed=bench.seed))


def layers_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield flips within one stage, then within one tensor."""
    for level, sizes in (("stage", stage_sizes(bench.network)), ("tensor", fault_sites(bench.network))):
        trials = bench.effort.stages if level == "stage" else bench.effort.tensors
        for name, elements in sizes.items() if trials else ():
            settings = CampaignSettings(LAYER_FLIPS, trials, tensor=name, seed=bench.seed)
            place = {"name": name, "level": level, "elements": elements, "flips": LAYER_FLIPS}
            yield place | bench.trials(settings)


def stage_sizes(network: nn.Module) -> dict[str, int]:
    """Return stage → how many numbers its weights are; stages without any are left out."""
    sites = fault_sites(network)
    sizes = {
        stage.name: sum(count for name, count in sites.items() if stage.holds(name))
        for stages in network_parts(network).values()
        for stage in stages
    }
    return {name: count for name, count in sizes.items() if count}


def bits_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield one flip of each bit position, in both formats."""
    for form, layout in FORMATS.items():
        for bit in range(layout.bits):
            settings = CampaignSettings(1, bench.effort.bits, form=form, bit=bit, seed=bench.seed)
            yield {"form": form, "bit": bit, "field": layout.field(bit)} | bench.trials(settings)


def activations_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield one flip in what each stage puts out."""
    sizes = activation_sites(bench.network, bench.val.pixels)
    for stages in network_parts(bench.network).values():
        for name in (stage.name for stage in stages):
            settings = CampaignSettings(1, bench.effort.activations, "activation", tensor=name, seed=bench.seed)
            yield {"stage": name, "elements": sizes[name]} | bench.trials(settings)


def worst_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield the smallest sets that do the most damage, and whether the guard sees and repairs them."""
    guard = bench.guard()
    for silent in (False, True):
        for found in worst_sets(bench, silent):
            copy = damaged(bench.network, found.faults)
            detected = bool(guard.check(copy))
            yield found.row | {"detected": detected, "repaired": guard.repair(copy).whole}


def guard_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield the guard off, detecting and repairing, against random flips and against the worst ones."""
    for guard in GUARDS:
        how: dict[str, Any] = {"guard": guard, "weights": bench.weights, "ranges": bench.ranges}
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
    """Yield whole passes of the undamaged network, weights checked and stages watched, on scans that it has never seen.

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
    """Yield the guard's cost a scan, on one thread and on all."""
    copy, threads = damaged(bench.network, ()), torch.get_num_threads()
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        try:
            cost = measure(bench.guard(), copy, bench.val.pixels[:1])
        finally:
            torch.set_num_threads(threads)
        yield {"threads": count, "load": os.getloadavg()[0] / (os.cpu_count() or 1), **cost._asdict()}


def attacks_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield FGSM and PGD against the undamaged network; the scans as they are at first."""
    yield {"method": "none", "eps": 0, "steps": 0} | accuracy(bench.network, bench.val.pixels, bench.val)
    for method, steps in (("fgsm", 1), ("pgd", PGD_STEPS)):
        for eps in ATTACK_EPS:
            attacked = bench.attack(method, eps)
            yield {"method": method, "eps": eps, "steps": steps} | accuracy(bench.network, attacked, bench.val)


def corruptions_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield the paper's corruptions at five severities."""
    for name in CORRUPTED:
        for severity in SEVERITIES:
            changed = bench.changed(AttackSettings(name, severity=severity))
            yield {"name": name, "severity": severity} | accuracy(bench.network, changed, bench.val)


def map_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield flips and attacks together: the same flips under every ε."""
    for eps in MAP_EPS:
        pixels = bench.attack("pgd", eps)
        yield {"flips": 0, "eps": eps} | bench.undamaged(pixels)
        for flips in MAP_FLIPS:
            settings = CampaignSettings(flips, bench.effort.map, seed=bench.seed)
            yield {"flips": flips, "eps": eps} | bench.trials(settings, pixels)


def experts_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Yield the experts of a mixture, each asked alone: one architecture, trained in different ways."""
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
