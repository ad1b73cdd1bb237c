"""What networks answer to the validation scans as every hospital would show them, paired scan by scan."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core import compute
from core.evaluation.datasets import Dataset
from core.federation.hospitals import Hospital, every_look
from core.models.diffusion import Diffusion
from core.models.experts import MixtureOfExperts
from core.statistics import bootstrap_interval
from training.recipes.classifier import purified_copy


def pooled_figures(
    networks: dict[str, nn.Module],
    hospitals: Sequence[Hospital],
    val: Dataset,
    diffusion: Diffusion | None,
    seed: int,
) -> dict[str, Any]:
    """Return what the card says of the networks, all of it on validation scans.

    Accuracies plain, purified, in each look and pooled over the looks; what the mixture gains over each of the others,
    paired over scans and looks; and the gate's mean weights. Intervals are bootstrapped over near-duplicate groups.
    """
    views = val_views(val.pixels, hospitals, diffusion, seed)
    labels = val.labels.to(compute.device())
    hits = {
        network: {view: correct(networks[network], pixels, labels) for view, pixels in views.items()}
        for network in networks
    }
    for own in hits.values():
        own["pooled"] = np.concatenate([own[hospital.name] for hospital in hospitals])
    accuracy = {
        network: {view: interval(values, val.groups) for view, values in own.items()} for network, own in hits.items()
    }
    gains = {
        network: {view: interval(hits["mixture"][view] - hits[network][view], val.groups) for view in hits[network]}
        for network in networks
        if network != "mixture"
    }
    weights = {view: mean_weights(networks["mixture"], pixels) for view, pixels in views.items()}
    return {
        "n": len(val),
        "groups": len(set(val.groups)),
        "pooled": "each scan as each hospital would show it; groups are resampled with all looks of their scans",
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
    pixels: Tensor, hospitals: Sequence[Hospital], diffusion: Diffusion | None, seed: int
) -> dict[str, Tensor]:
    """Return the validation scans, (N, C, H, W) a view: plain, as each hospital would show them, and purified."""
    looks = zip(hospitals, every_look(pixels, hospitals, seed))
    views = {"plain": pixels} | {hospital.name: look for hospital, look in looks}
    if diffusion is not None:
        generator, batches = torch.Generator().manual_seed(seed), pixels.to(compute.device()).split(4)
        views["purified"] = torch.cat([purified_copy(batch, diffusion, generator) for batch in batches])
    return {name: view.to(compute.device()) for name, view in views.items()}


@torch.no_grad()
def correct(network: nn.Module, pixels: Tensor, labels: Tensor) -> np.ndarray:
    """Return (N,) 1.0 where the class is found."""
    hits = [network(x).argmax(1) == y for x, y in zip(pixels.split(64), labels.split(64))]
    return torch.cat(hits).double().cpu().numpy()


@torch.no_grad()
def mean_weights(mixture: MixtureOfExperts, pixels: Tensor) -> list[float]:
    """Return (K,) how much the gate trusts each expert, on average over (N, C, H, W) scans."""
    weights = torch.cat([mixture.weights(x) for x in pixels.split(64)])
    return weights.mean(0).tolist()


def interval(values: np.ndarray, groups: Sequence[str]) -> dict[str, Any]:
    """Return the mean of values and its 95 % interval; one value a scan, or as many times over as there are looks."""
    return {
        "value": float(values.mean()),
        "interval": bootstrap_interval(values, list(groups) * (len(values) // len(groups))),
    }
