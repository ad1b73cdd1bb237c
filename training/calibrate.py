"""Fit a bundle's thresholds, scope and t* ladder on its validation scans, and write them into bundle.json.

    python -m training.calibrate --data br35h.npz

Run it again whenever a weight file changes: the old thresholds are false then. The validation scans trained nothing.
What an evaluation reports on the same scans is cross-fitted over their groups (`core.audit.evaluation`).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.audit.datasets import Dataset, image_digest, load_dataset
from core.audit.evaluation import AttackSettings, attack_target, batches, run_attack
from core.bundles import WEIGHTS, Bundle, load_bundle
from core.calibration import LADDER, fit_ladder, fit_limits, fit_thresholds
from core.detection import MASKS, SCORES, gather_evidence, masked_views, scope_features
from core.models.mae import complementary_masks
from training.assemble import read_facts, write_facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = WEIGHTS / options.bundle
    _blank(folder)
    bundle = load_bundle(options.bundle)
    data = load_dataset(options.data, bundle.classes, bundle.resolution, bundle.channels)
    references = scope_references(data.split("train"), bundle)
    save_file({"references": references.half().cpu()}, folder / "scope.safetensors")
    write_facts(folder, read_facts(folder))
    bundle = load_bundle(options.bundle)
    val = data.split("val")
    facts, calibrations = read_facts(folder), {}
    for name in bundle.classifiers:
        calibrations[name] = calibrate(val, bundle, name, options.seed)
        facts["limits"][name] = limits_record(calibrations[name])
    (folder / "calibration.json").write_text(json.dumps(calibrations), encoding="utf-8")
    facts["calibrated"] = {
        "command": f"python -m training.calibrate --data {options.data.name} --seed {options.seed}",
        "split": "val",
        "n": len(val),
        "groups": len(set(val.groups)),
        "data_sha256": val.sha256,
    }
    write_facts(folder, facts)


def calibrate(val: Dataset, bundle: Bundle, classifier: str, seed: int) -> dict:
    """Scores of the validation scans, clean and under PGD-40, as `core.bundles.Calibration` holds them."""
    clean = measure(val, bundle, classifier, AttackSettings(), seed)
    scope = clean.pop("scope")
    attacked = {}
    for eps, _ in LADDER:
        scores = measure(val, bundle, classifier, AttackSettings("pgd", eps=eps), seed)
        scores.pop("scope")
        attacked[f"pgd {eps}/255"] = scores
    return {
        "clean": clean,
        "attacked": attacked,
        "scope": scope,
        "groups": list(val.groups),
        "digests": [image_digest(pixels) for pixels in val.pixels],
    }


@torch.no_grad()
def measure(val: Dataset, bundle: Bundle, classifier: str, attack: AttackSettings, seed: int) -> dict[str, list[float]]:
    """Score name, and 'scope', → one value a scan."""
    values: dict[str, list[float]] = {name: [] for name in (*SCORES, "scope")}
    network = bundle.classifiers[classifier]
    target = attack_target(bundle, classifier, attack, seed)
    for indices in tqdm(batches(len(val)), desc=f"{attack.method or 'clean'} {attack.eps}"):
        pixels = val.pixels[indices]
        if attack.method:
            pixels = run_attack(target, pixels, val.labels[indices], attack, seed + int(indices[0]))
        evidence = gather_evidence(pixels.to(compute.device()), bundle, network, seed)
        for name in SCORES:
            values[name] += [float(f"{value:.6g}") for value in evidence.scores[name].tolist()]
        values["scope"] += evidence.scope_distance.tolist()
    return values


def limits_record(calibration: dict) -> dict:
    """The limits of one classifier as bundle.json holds them."""
    clean = {name: np.array(values) for name, values in calibration["clean"].items()}
    amv = {eps: np.array(calibration["attacked"][f"pgd {eps}/255"]["amv"]) for eps, _ in LADDER}
    limits = fit_limits(clean, np.array(calibration["scope"]), amv)
    percentiles = fit_thresholds(clean)[1]
    return {
        "thresholds": {
            name: {"percentile": round(percentiles[name], 3), "value": value} for name, value in limits.thresholds.items()
        },
        "scope_limit": limits.scope_limit,
        "ladder": [[largest if np.isfinite(largest) else None, t] for largest, t in fit_ladder(amv)],
    }


@torch.no_grad()
def scope_references(train: Dataset, bundle: Bundle) -> Tensor:
    """(N, D) scope features of the training scans."""
    masks = complementary_masks(bundle.mae.patch_count, MASKS, torch.Generator().manual_seed(0)).to(compute.device())
    features = []
    for indices in tqdm(batches(len(train)), desc="scope"):
        views = masked_views(train.pixels[indices].to(compute.device()), masks, bundle.mae, decode=False)
        features.append(scope_features(views))
    return torch.cat(features)


def _blank(folder: Path) -> None:
    """Give a freshly assembled bundle what loading it asks for."""
    facts = read_facts(folder)
    facts.setdefault("limits", {})
    if not (folder / "calibration.json").is_file():
        (folder / "calibration.json").write_text("{}", encoding="utf-8")
    if not (folder / "scope.safetensors").is_file():
        save_file({"references": torch.zeros(1, facts["mae"]["config"]["width"])}, folder / "scope.safetensors")
    write_facts(folder, facts)


if __name__ == "__main__":
    main()
