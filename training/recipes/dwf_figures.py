"""What a mixture of Divided We Fall, or one network beside it, reaches on validation scans."""

from typing import Any

import numpy as np
import torch
from torch import nn

from core import compute
from core.attacks import AttackSettings
from core.evaluation.datasets import Dataset
from core.models.experts import MixtureOfExperts
from core.statistics import bootstrap_interval
from training.conditions import condition_name, pixels_under

MEASURED = (AttackSettings(), AttackSettings("fgsm"), AttackSettings("pgd"))


def measured(network: nn.Module, val: Dataset, seed: int) -> dict[str, Any]:
    """Return the accuracy with its interval, clean and under white-box attacks, on the validation scans."""
    return {condition_name(settings): figure(network, val, settings, seed) for settings in MEASURED}


def figure(network: nn.Module, val: Dataset, settings: AttackSettings, seed: int) -> dict[str, Any]:
    """Return one accuracy, n and its 95 % interval over near-duplicate groups."""
    hits: list[bool] = []
    for start in range(0, len(val), 64):
        pixels = val.pixels[start : start + 64].to(compute.device())
        labels = val.labels[start : start + 64].to(compute.device())
        after = pixels_under(settings, network, pixels, labels, seed + start)
        with torch.no_grad():
            hits += (network(after).argmax(1) == labels).tolist()
    interval = bootstrap_interval(hits, val.groups)
    return {"accuracy": float(np.mean(hits)), "interval": interval, "n": len(hits)}


@torch.no_grad()
def gate_shares(network: MixtureOfExperts, val: Dataset) -> list[float]:
    """Return the mean gate weight of each expert over the clean validation scans."""
    weights = [network.weights(pixels.to(compute.device())) for pixels in val.pixels.split(64)]
    return torch.cat(weights).mean(0).tolist()
