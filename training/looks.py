"""Measure whether classifiers look at the tumour: before an attack, under it, and after purification.

    python -m training.looks --data br35h.npz

On the outlined tumours among the validation scans, Integrated Gradients for “tumour”: the share of what speaks for it
that lies within the outline (energy), and how often the strongest pixel does (hit). The rows go into results.json.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.attacks import AttackSettings, attack_steps
from core.bundles import WEIGHTS, Bundle, load_bundle
from core.evaluation.datasets import Dataset, load_for
from core.evaluation.evaluation import weights_record
from core.explanation.attributions import attribution
from core.explanation.outline_agreement import OutlineAgreement, outline_agreement
from core.purification.catalogue import purified_pixels
from core.purification.settings import PurifySettings
from core.statistics import bootstrap_interval
from training.results import read_results, write_results

TUMOUR = 1
METHOD = "integrated-gradients"
ATTACK = AttackSettings("pgd")
PURIFIER = PurifySettings("one-step")
AT_ONCE = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    val = load_for(bundle, options.data).split("val")
    record_looks(val, bundle, options)


def record_looks(val: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure the classifiers that aren't known with the weights of today, and write each into results.json."""
    if val.has_mask is None or not len(outlined(val)):
        return print("The data set holds no outlined tumours, so nothing says whether the classifiers look at them.")
    results = WEIGHTS / options.bundle / "results.json"
    for name in bundle.classifiers:
        made_with = {
            "command": f"python -m training.looks --data {options.data.name}",
            "seed": options.seed,
            "attack": asdict(ATTACK),
            "purifier": asdict(PURIFIER),
            "weights_sha256": weights_record(bundle, name),
        }
        known = read_results(results).get("looks", {})
        if known.get(name, {}).get("made_with") != made_with:
            found = looks(outlined(val), bundle, name, options.seed)
            write_results(results, {"looks": known | {name: {"made_with": made_with} | found}})


def outlined(val: Dataset) -> Dataset:
    """The tumours that somebody has outlined."""
    return val.subset(np.flatnonzero((val.has_mask & (val.labels == TUMOUR)).numpy()))


def looks(data: Dataset, bundle: Bundle, classifier: str, seed: int) -> dict[str, Any]:
    """n, and condition → energy and hit with their intervals, for one classifier."""
    agreements: dict[str, list[OutlineAgreement]] = {"clean": [], "attacked": [], "purified": []}
    for first in tqdm(range(0, len(data), AT_ONCE), desc=f"looks of {classifier}", disable=None):
        pixels = data.pixels[first : first + AT_ONCE].to(compute.device())
        outlines = data.masks[first : first + AT_ONCE].numpy()
        for condition, scans in conditions(pixels, bundle, classifier, seed + first).items():
            for scan, outline in zip(scans.cpu().numpy(), outlines):
                values = attribution(scan, bundle.classifiers[classifier], METHOD, label=TUMOUR)
                agreements[condition].append(outline_agreement(values, outline))
    found = {condition: summary(rows, data.groups) for condition, rows in agreements.items()}
    return {"n": len(data), "expected": float(np.mean([row.expected for row in agreements["clean"]]))} | found


def conditions(pixels: Tensor, bundle: Bundle, classifier: str, seed: int) -> dict[str, Tensor]:
    """Scans (B, C, H, W) as they are, attacked, and purified after the attack."""
    labels = torch.full((len(pixels),), TUMOUR, device=pixels.device)
    for step in attack_steps(bundle.classifiers[classifier], pixels, labels, ATTACK, seed):
        attacked = step.attacked
    return {
        "clean": pixels,
        "attacked": attacked,
        "purified": purified_pixels(attacked, bundle, PURIFIER, seed=seed),
    }


def summary(rows: Sequence[OutlineAgreement], groups: Sequence[str]) -> dict[str, Any]:
    """Means and 95 % intervals over near-duplicate groups."""
    energy, hit = [row.energy for row in rows], [float(row.hit) for row in rows]
    return {
        "energy": float(np.mean(energy)),
        "hit": float(np.mean(hit)),
        "intervals": {"energy": bootstrap_interval(energy, groups), "hit": bootstrap_interval(hit, groups)},
    }


if __name__ == "__main__":
    main()
