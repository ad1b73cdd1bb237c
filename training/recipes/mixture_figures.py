"""What mixtures reach on validation scans: at every hospital beside other networks, and under white-box attacks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core import compute
from core.attacks import AttackSettings
from core.evaluation.datasets import Dataset
from core.federation.hospitals import Hospital, every_look
from core.models.diffusion import Diffusion
from core.models.experts import MixtureOfExperts
from core.statistics import bootstrap_interval
from training.conditions import condition_name, pixels_under
from training.recipes.classifier import purified_copy

MEASURED = (AttackSettings(), AttackSettings("fgsm"), AttackSettings("pgd"))


class View(NamedTuple):
    """Validation scans as one hospital has them: (M, C, H, W) pixels, and the (M,) places of the scans among all."""

    pixels: Tensor
    places: np.ndarray


def pooled_figures(
    networks: dict[str, nn.Module],
    hospitals: Sequence[Hospital],
    val: Dataset,
    diffusion: Diffusion | None,
    seed: int,
    own: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Return what the card says of the networks, all of it on validation scans.

    Accuracies plain, purified, at each hospital and pooled over the hospitals; what the mixture gains over each of the
    others, paired over the same scans; and the gate's mean weights. Intervals are bootstrapped over groups. `own` is
    hospital → places of its validation scans; without it each shows all of them in its own look.
    """
    views = val_views(val, hospitals, diffusion, seed, own)
    labels, groups = val.labels.to(compute.device()), np.array(val.groups)
    sites = [hospital.name for hospital in hospitals if hospital.name in views]
    places = {name: view.places for name, view in views.items()}
    places["pooled"] = np.concatenate([places[name] for name in sites])
    hits = {
        network: {name: correct(networks[network], view.pixels, labels[view.places]) for name, view in views.items()}
        for network in networks
    }
    for found in hits.values():
        found["pooled"] = np.concatenate([found[name] for name in sites])
    accuracy = {
        network: {view: interval(values, groups[places[view]]) for view, values in found.items()}
        for network, found in hits.items()
    }
    gains = {
        network: {view: interval(hits["mixture"][view] - hits[network][view], groups[places[view]]) for view in places}
        for network in networks
        if network != "mixture"
    }
    weights = {name: mean_weights(networks["mixture"], view.pixels) for name, view in views.items()}
    shown = "its own scans of each hospital" if own else "each scan as each hospital would show it"
    return {
        "n": len(val),
        "groups": len(set(val.groups)),
        "pooled": f"{shown}; groups are resampled with all that was made of their scans",
        "accuracy": accuracy,
        "mixture_gain": gains,
        "mean_gate_weights": weights,
        "holds": {
            "clean accuracy of the mixture at least 98 %": accuracy["mixture"]["plain"]["value"] >= 0.98,
            "pooled, the mixture is worse than none: no interval of a paired gain lies below 0": all(
                gain["pooled"]["interval"][1] >= 0 for gain in gains.values()
            ),
            "no mean gate weight under 2 % over val": min(weights["plain"]) >= 0.02,
        },
    }


def val_views(
    val: Dataset,
    hospitals: Sequence[Hospital],
    diffusion: Diffusion | None,
    seed: int,
    own: Mapping[str, np.ndarray] | None,
) -> dict[str, View]:
    """Return the validation scans plain, of each hospital or as each would show them, and purified."""
    everything, place = np.arange(len(val)), compute.device()
    views = {"plain": View(val.pixels.to(place), everything)}
    if own:
        views |= {name: View(val.pixels[places].to(place), places) for name, places in own.items() if len(places)}
    else:
        looks = zip(hospitals, every_look(val.pixels, hospitals, seed))
        views |= {hospital.name: View(look.to(place), everything) for hospital, look in looks}
    if diffusion is not None:
        generator, batches = torch.Generator().manual_seed(seed), val.pixels.to(place).split(4)
        copies = torch.cat([purified_copy(batch, diffusion, generator) for batch in batches])
        views["purified"] = View(copies, everything)
    return views


@torch.no_grad()
def correct(network: nn.Module, pixels: Tensor, labels: Tensor) -> np.ndarray:
    """Return (N,) 1.0 where the class is found."""
    hits = [network(x).argmax(1) == y for x, y in zip(pixels.split(64), labels.split(64))]
    return torch.cat(hits).double().cpu().numpy()


@torch.no_grad()
def mean_weights(mixture: MixtureOfExperts, pixels: Tensor) -> list[float]:
    """Return (K,) how much the gate trusts each expert, on average over (N, C, H, W) scans."""
    weights = torch.cat([mixture.weights(x.to(compute.device())) for x in pixels.split(64)])
    return weights.mean(0).tolist()


def interval(values: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return the mean of values and its 95 % interval over the groups of their scans."""
    return {"value": float(values.mean()), "interval": bootstrap_interval(values, groups)}


def measured(network: nn.Module, val: Dataset, seed: int) -> dict[str, Any]:
    """Return the accuracy with its interval, clean and under white-box attacks, on the validation scans."""
    return {condition_name(settings): figure(network, val, settings, seed) for settings in MEASURED}


def figure(network: nn.Module, val: Dataset, settings: AttackSettings, seed: int) -> dict[str, Any]:
    """Return one accuracy, n and its 95 % interval over near-duplicate groups; and each site's accuracy, where any."""
    hits: list[bool] = []
    for start in range(0, len(val), 64):
        pixels = val.pixels[start : start + 64].to(compute.device())
        labels = val.labels[start : start + 64].to(compute.device())
        after = pixels_under(settings, network, pixels, labels, seed + start)
        with torch.no_grad():
            hits += (network(after).argmax(1) == labels).tolist()
    interval = bootstrap_interval(hits, val.groups)
    homes, shares = np.array(val.sites), np.array(hits)
    found = {"accuracy": float(np.mean(hits)), "interval": interval, "n": len(hits)}
    sites = {name: float(shares[homes == name].mean()) for name in sorted(set(val.sites))}
    return found | {"sites": sites} if sites else found
