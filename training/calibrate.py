"""Fit a bundle's thresholds, scope and t* ladder on its validation scans, and write them into bundle.json.

    python -m training.calibrate --data br35h.npz
    python -m training.calibrate --data br35h.npz --refit      only the limits, from the scores that were measured

Run it again whenever a weight file changes: the old thresholds are false then. The validation scans trained nothing.
What an evaluation reports on the same scans is cross-fitted over their groups (`core.audit.evaluation`).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.audit.datasets import Dataset, image_digest, load_dataset
from core.audit.evaluation import AttackSettings, attack_target, batches, fitted_limits, run_attack
from core.bundles import WEIGHTS, Bundle, Calibration, load_bundle
from core.calibration import BENIGN, LADDER
from core.detection import (
    AMV_T,
    SCORES,
    attention_variation,
    content_features,
    detection_masks,
    gather_evidence,
    masked_views,
)
from core.purification.ddim import denoise_once, fixed_noise
from training.assemble import read_facts, write_facts

COMPONENTS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refit", action="store_true", help="don't measure again")
    options = parser.parse_args()
    folder = WEIGHTS / options.bundle
    if not options.refit:
        measure_bundle(folder, options)
    facts = read_facts(folder)
    calibrations = json.loads((folder / facts["calibration"]).read_text(encoding="utf-8"))
    facts["limits"] = {name: limits_record(Calibration(**entry)) for name, entry in calibrations.items()}
    write_facts(folder, facts)


def measure_bundle(folder: Path, options: argparse.Namespace) -> None:
    """Write content.safetensors and calibration.json, and how they were made into bundle.json."""
    bundle = load_bundle(options.bundle)
    data = load_dataset(options.data, bundle.classes, bundle.resolution, bundle.channels)
    save_file(describe_content(data.split("train"), bundle, options.seed), folder / "content.safetensors")
    write_facts(folder, read_facts(folder))
    bundle = load_bundle(options.bundle)
    val = data.split("val")
    calibrations = {name: calibrate(val, bundle, name, options.seed) for name in bundle.classifiers}
    facts = read_facts(folder)
    (folder / facts["calibration"]).write_text(json.dumps(calibrations), encoding="utf-8")
    facts["calibrated"] = {
        "command": f"python -m training.calibrate --data {options.data.name} --seed {options.seed}",
        "split": "val",
        "n": len(val),
        "groups": len(set(val.groups)),
        "data_sha256": val.sha256,
    }
    write_facts(folder, facts)


def calibrate(val: Dataset, bundle: Bundle, classifier: str, seed: int) -> dict:
    """Scores of the validation scans, clean, benignly changed and attacked, as `core.bundles.Calibration` has them."""
    clean = measure(val, bundle, classifier, AttackSettings(), seed)
    scope = clean.pop("scope")
    attacked, benign = {}, {}
    for eps, _ in LADDER:
        attacked[f"pgd {eps}/255"] = measure(val, bundle, classifier, AttackSettings("pgd", eps=eps), seed)
    for name, severity in BENIGN:
        changed = measure(val, bundle, classifier, AttackSettings(name, severity=severity), seed)
        benign[f"{name} {severity}"] = changed
    for scores in (*attacked.values(), *benign.values()):
        scores.pop("scope")
    return {
        "clean": clean,
        "attacked": attacked,
        "benign": benign,
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
    for indices in tqdm(batches(len(val)), desc=f"{attack.method or 'clean'} {attack.eps}", disable=None):
        pixels = val.pixels[indices]
        if attack.method:
            pixels = run_attack(target, pixels, val.labels[indices], attack, seed + int(indices[0]))
        evidence = gather_evidence(pixels.to(compute.device()), bundle, network, seed)
        for name in SCORES:
            values[name] += [float(f"{value:.6g}") for value in evidence.scores[name].tolist()]
        values["scope"] += evidence.scope_distance.tolist()
    return values


def limits_record(calibration: Calibration) -> dict:
    """The limits of one classifier as bundle.json holds them."""
    limits = fitted_limits(calibration)
    clean = {name: np.array(calibration.clean[name]) for name in limits.thresholds}
    return {
        "thresholds": {
            name: {"percentile": round(100 * float((clean[name] <= value).mean()), 2), "value": value}
            for name, value in limits.thresholds.items()
        },
        "scope_limit": limits.scope_limit,
        "ladder": [[largest if np.isfinite(largest) else None, t] for largest, t in limits.ladder],
    }


@torch.no_grad()
def describe_content(train: Dataset, bundle: Bundle, seed: int) -> dict[str, Tensor]:
    """What `core.bundles.Content` holds, from the training scans."""
    masks = detection_masks(bundle, compute.device())
    features, variations = [], []
    for indices in tqdm(batches(len(train)), desc="content", disable=None):
        pixels = train.pixels[indices].to(compute.device())
        noise = fixed_noise(pixels.shape, seed, pixels.device)
        t = torch.full((len(pixels),), AMV_T, device=pixels.device)
        light = denoise_once(pixels, t, bundle.diffusion, noise)
        before, after = (masked_views(image, masks, bundle.mae) for image in (pixels, light))
        features.append(content_features(after))
        variations.append(attention_variation(before, after, masks)[0])
    content, variation = torch.cat(features).cpu().numpy(), torch.cat(variations).cpu().numpy()
    fitted = fit_components(content) | fit_usual_variation(content, variation, train.groups)
    return {name: torch.as_tensor(value, dtype=torch.float32).contiguous() for name, value in fitted.items()}


def fit_components(features: np.ndarray) -> dict[str, np.ndarray]:
    """Whitened principal components of standardised features (N, 2D), and the scans in them."""
    scale = StandardScaler().fit(features)
    pca = PCA(COMPONENTS, whiten=True, random_state=0).fit(scale.transform(features))
    projection = pca.components_.T / np.sqrt(pca.explained_variance_) / scale.scale_[:, None]
    return {
        "centre": scale.mean_,
        "projection": projection,
        "references": (features - scale.mean_) @ projection,
    }


def fit_usual_variation(features: np.ndarray, variation: np.ndarray, groups: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Ridge regression from mean tokens to log variation (N,); its strength is chosen over held-out groups.

    The spread of the tokens gets no weight: with it the regression does worse on scans that it has not seen.
    """
    width = features.shape[1] // 2
    scale = StandardScaler().fit(features[:, :width])
    grid = GridSearchCV(Ridge(), {"alpha": np.logspace(0, 5, 21)}, cv=GroupKFold(5))
    ridge = grid.fit(scale.transform(features[:, :width]), np.log(variation), groups=groups).best_estimator_
    weight = ridge.coef_ / scale.scale_
    return {
        "amv_weight": np.concatenate([weight, np.zeros(width)]),
        "amv_bias": ridge.intercept_ - weight @ scale.mean_,
    }


if __name__ == "__main__":
    main()
