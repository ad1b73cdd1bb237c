"""Measure whether classifiers look at the tumour: before an attack, under it, and after purification.

    python -m training.measure.attributions --data br35h.npz

On the outlined tumours among the validation scans, Integrated Gradients for “tumour”: the share of what speaks for it
that lies within the outline (energy), and how often the strongest pixel does (hit). The rows go into results.json.
"""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.attacks import AttackSettings
from core.bundles import Bundle, load_bundle
from core.evaluation.datasets import Dataset
from core.evaluation.evaluation import weights_record
from core.explanation.attributions import attribution
from core.explanation.outline_agreement import OutlineAgreement, outline_agreement
from core.purification.catalogue import purified_pixels
from core.purification.settings import PurifySettings
from core.statistics import bootstrap_interval
from training.conditions import pixels_under
from training.files import read_results, write_results
from training.options import bundle_options, bundle_words, data_words, seed_words
from training.recipes.data import measured_collections, validation_scans

TUMOUR = 1
METHOD = "integrated-gradients"
ATTACK = AttackSettings("pgd")
PURIFIER = PurifySettings("one-step")
AT_ONCE = 4


def main() -> None:
    options = bundle_options(__doc__).parse_args()
    bundle = load_bundle(options.bundle)
    val = validation_scans(measured_collections(bundle, options), options)
    record_attributions(val, bundle, options)


def record_attributions(val: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure the classifiers that aren't known with the weights of today, and write each into results.json.

    Classifiers that were added to a bundle that comes with Purescan are left out, as its records hold its own alone.
    """
    if val.has_mask is None or not len(outlined(val)):
        return print("The data set holds no outlined tumours, so nothing says whether the classifiers look at them.")
    folder = bundle.folder
    for name in (name for name in bundle.classifiers if name not in bundle.added):
        made_with = {
            "command": shlex.join(
                [
                    *("python", "-m", "training.measure.attributions"),
                    *data_words(options),
                    *bundle_words(bundle.name),
                    *seed_words(options),
                ]
            ),
            "seed": options.seed,
            "attack": asdict(ATTACK),
            "purifier": asdict(PURIFIER),
            "weights_sha256": weights_record(bundle, name),
        }
        known = read_results(folder).get("looks", {})
        if known.get(name, {}).get("made_with") != made_with:
            found = attribution_agreement(outlined(val), bundle, name, options.seed)
            write_results(folder, {"looks": known | {name: {"made_with": made_with} | found}})


def outlined(val: Dataset) -> Dataset:
    """Return the tumours that somebody has outlined."""
    return val.subset(np.flatnonzero((val.has_mask & (val.labels == TUMOUR)).numpy()))


def attribution_agreement(data: Dataset, bundle: Bundle, classifier: str, seed: int) -> dict[str, Any]:
    """Return n, and condition → energy and hit with their intervals, for one classifier."""
    agreements: dict[str, list[OutlineAgreement]] = {"clean": [], "attacked": [], "purified": []}
    for first in tqdm(range(0, len(data), AT_ONCE), desc=f"attributions of {classifier}", disable=None):
        pixels = data.pixels[first : first + AT_ONCE].to(compute.device())
        outlines = data.masks[first : first + AT_ONCE].numpy()
        for condition, scans in conditions(pixels, bundle, classifier, seed + first).items():
            for scan, outline in zip(scans.cpu().numpy(), outlines):
                values = attribution(scan, bundle.classifiers[classifier], METHOD, label=TUMOUR)
                agreements[condition].append(outline_agreement(values, outline))
    found = {condition: summary(rows, data.groups) for condition, rows in agreements.items()}
    return {"n": len(data), "expected": float(np.mean([row.expected for row in agreements["clean"]]))} | found


def conditions(pixels: Tensor, bundle: Bundle, classifier: str, seed: int) -> dict[str, Tensor]:
    """Return scans (B, C, H, W) as they are, attacked, and purified after the attack."""
    labels = torch.full((len(pixels),), TUMOUR, device=pixels.device)
    attacked = pixels_under(ATTACK, bundle.classifiers[classifier], pixels, labels, seed)
    return {
        "clean": pixels,
        "attacked": attacked,
        "purified": purified_pixels(attacked, bundle, PURIFIER, seed=seed),
    }


def summary(rows: Sequence[OutlineAgreement], groups: Sequence[str]) -> dict[str, Any]:
    """Return means and 95 % intervals over near-duplicate groups."""
    energy, hit = [row.energy for row in rows], [float(row.hit) for row in rows]
    return {
        "energy": float(np.mean(energy)),
        "hit": float(np.mean(hit)),
        "intervals": {"energy": bootstrap_interval(energy, groups), "hit": bootstrap_interval(hit, groups)},
    }


if __name__ == "__main__":
    main()
