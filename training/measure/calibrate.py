"""Fit a bundle's thresholds, scope and t* ladder on its validation scans, and write them into bundle.json.

    python -m training.measure.calibrate --data br35h.npz
    python -m training.measure.calibrate --data br35h.npz --refit      only the limits, from scores measured before
    python -m training.measure.calibrate --data br35h.npz tcga-lgg.npz cheng.npz --per-site 300

Run it again whenever a weight file changes: the old thresholds are false then. The validation scans trained nothing.
What an evaluation reports on the same scans is cross-fitted over their groups (`core.evaluation.evaluation`).
"""

import argparse
import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
from core.bundles import Bundle, load_bundle
from core.bundles.calibration import Calibration
from core.defence.fitting import TooFewScans, fitted_limits
from core.detection.scores import (
    AMV_T,
    agreement,
    attention_variation,
    content_features,
    detection_masks,
    masked_views,
    predict_hidden,
    shared_error,
)
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.responses import batches
from core.models.diffusion import denoise_once, fixed_noise
from training.conditions import condition_name
from training.files import read_facts, write_facts
from training.measure.answers import classifiers_option, drop_stale, needed, record_answers
from training.options import bundle_options, bundle_words, data_words
from training.recipes.data import measured_collections, validation_scans

COMPONENTS = 64
MASKS = 2  # four tell no more and take half as long again
COMMAND = ("python", "-m", "training.measure.calibrate")


class Asked(NamedTuple):
    """Which scans answers were recorded to: the command that calibrates on them, the SHA-256 of their data sets, and
    the digests of the scans."""

    command: str
    data_sha256: str
    digests: list[str]


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--refit", action="store_true", help="don't measure again")
    classifiers_option(parser)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    asked = None if options.refit else measure_bundle(bundle, options)
    try:
        refit_bundle(bundle.name, asked)
    except TooFewScans as error:
        parser.error(str(error))
    if not read_facts(bundle.folder)["limits"]:
        parser.error(
            f"No classifier of {bundle.name} has answers of its weights of today to every condition that limits need; "
            "calibrate without --refit."
        )


def refit_bundle(name: str, asked: Asked | None = None) -> None:
    """Remove the answers that other weights than today's gave, and fit the limits to those that are left.

    TooFewScans, one sentence, where they are of too few scans; SystemExit as in `check_content` and `fit_bundle`.
    """
    bundle = load_bundle(name)
    check_content(bundle)
    drop_stale(bundle)
    fit_bundle(bundle.folder, asked)


def check_content(bundle: Bundle) -> None:
    """SystemExit, one sentence, where the content model was made with other networks than today's.

    What the scores expect of a scan is false then, and so would be all limits.
    """
    if bundle.facts.get("content_made_with", {}).get("weights_sha256") != content_networks(bundle):
        raise SystemExit(
            f"content.safetensors of {bundle.name} was not made with its autoencoder and U-Net of today; "
            f"calibrate first: python -m training.measure.calibrate --data FILE --bundle {bundle.name}"
        )


def fit_bundle(folder: Path, asked: Asked | None = None) -> None:
    """Write the limits that the recorded answers ask for, for each classifier that has them all, and of which scans.

    Without `asked`, or where the answers are of other scans than it names, what bundle.json says of them has to fit;
    SystemExit, one sentence, where it doesn't.
    """
    facts = read_facts(folder)
    calibrations = json.loads((folder / facts["calibration"]).read_text(encoding="utf-8"))
    channels = facts["input"]["channels"]
    conditions = {condition_name(settings) for settings in needed(channels)}
    facts["limits"] = {
        name: limits_record(Calibration.from_json(entry, channels))
        for name, entry in calibrations.items()
        if name in facts["classifiers"] and conditions <= set(entry["conditions"])
    }
    if facts["limits"]:
        default = facts["default_classifier"]
        entry = calibrations[default if default in facts["limits"] else next(iter(facts["limits"]))]
        if found := calibrated_record(entry, facts.get("calibrated", {}), asked):
            facts["calibrated"] = found
    write_facts(folder, facts)


def calibrated_record(
    entry: Mapping[str, Any], earlier: Mapping[str, Any], asked: Asked | None = None
) -> dict[str, Any]:
    """Return what bundle.json says of the scans that limits were fitted on; empty where nobody has noted it.

    entry: of calibration.json; earlier: what bundle.json has said.
    """
    sites = entry.get("sites")
    found = {"n": len(entry["labels"]), "groups": len(set(entry["groups"]))}
    own = {"sites": dict(Counter(sites))} if sites else {}
    if asked and asked.digests == entry["digests"]:
        return {"command": asked.command, "split": "val", **found, "data_sha256": asked.data_sha256, **own}
    known = {key: earlier[key] for key in ("n", "groups", "sites") if key in earlier}
    if earlier and known != found | own:
        raise SystemExit(
            "The recorded answers are to other scans than bundle.json says of its limits; calibrate without --refit, "
            "on the scans that limits are to be of."
        )
    return dict(earlier)


def measure_bundle(bundle: Bundle, options: argparse.Namespace) -> Asked:
    """Write content.safetensors, and the answers that thresholds need; return which scans were asked about.

    A run that was cut off goes on where it stopped.
    """
    folder, data = bundle.folder, measured_collections(bundle, options)
    facts = read_facts(folder)
    facts["mae"]["masks"] = MASKS
    write_facts(folder, facts)
    record_content(data.split("train"), load_bundle(bundle.name), options.seed)
    record_answers(options, needed(bundle.channels), options.classifier)
    return asked_about(validation_scans(data, options), options)


def asked_about(val: Dataset, options: argparse.Namespace) -> Asked:
    """Return which scans a command records answers to."""
    return Asked(calibrate_command(options), val.sha256, [image_digest(pixels) for pixels in val.pixels])


def calibrate_command(options: argparse.Namespace) -> str:
    """Return the command that measures the same again."""
    words = [*COMMAND, *data_words(options), *bundle_words(options.bundle)]
    return shlex.join([*words, "--seed", str(options.seed)])


def record_content(train: Dataset, bundle: Bundle, seed: int) -> None:
    """Write content.safetensors, unless it was made of these scans with the networks of today."""
    made_with = {"data_sha256": train.sha256, "seed": seed, "masks": MASKS}
    made_with |= {"weights_sha256": content_networks(bundle)}
    if bundle.facts.get("content_made_with") == made_with:
        return
    save_file(describe_content(train, bundle, seed), bundle.folder / "content.safetensors")
    write_facts(bundle.folder, read_facts(bundle.folder) | {"content_made_with": made_with})


def content_networks(bundle: Bundle) -> dict[str, str]:
    """Return file → SHA-256 of the networks that a content model is made with, as they are today."""
    networks = {facts["file"] for facts in (bundle.facts["mae"], bundle.facts["unet"])}
    return {file: bundle.hashes[file] for file in sorted(networks)}


def limits_record(calibration: Calibration) -> dict:
    """Return the limits of one classifier as bundle.json holds them."""
    limits = fitted_limits(calibration)
    clean = {name: np.array(calibration.clean[name]) for name in limits.thresholds}
    return {
        "thresholds": {
            name: {"percentile": round(100 * float((clean[name] <= value).mean()), 2), "value": value}
            for name, value in limits.thresholds.items()
        },
        "scope_limit": limits.scope_limit,
        "ladder": [[largest if np.isfinite(largest) else None, t] for largest, t in limits.ladder],
        "borderline": limits.borderline._asdict(),
        **({"altered": list(limits.altered)} if limits.altered else {}),
        **({} if limits.purifies else {"purifies": False}),
    }


@torch.no_grad()
def describe_content(train: Dataset, bundle: Bundle, seed: int) -> dict[str, Tensor]:
    """Return what `core.bundles.Content` holds, from the training scans."""
    masks = detection_masks(bundle, compute.device())
    features, variations, agreements = [], [], []
    for indices in tqdm(batches(len(train)), desc="content", disable=None):
        pixels = train.pixels[indices].to(compute.device())
        noise = fixed_noise(pixels.shape, seed, pixels.device)
        t = torch.full((len(pixels),), AMV_T, device=pixels.device)
        light = denoise_once(pixels, t, bundle.diffusion, noise)
        before, after = (masked_views(image, masks, bundle.mae) for image in (pixels, light))
        prediction = predict_hidden(before, masks, bundle.mae)
        agreements.append(agreement(shared_error(pixels, prediction, light, bundle.mae.patch)))
        features.append(content_features(after))
        variations.append(attention_variation(before, after, masks)[0])
    content = torch.cat(features).cpu().numpy()
    fitted = fit_components(content)
    for name, parts in (("amv", variations), ("agreement", agreements)):
        fitted |= fit_usual(name, content, torch.cat(parts).cpu().numpy(), train.groups)
    return {name: torch.as_tensor(value, dtype=torch.float32).contiguous() for name, value in fitted.items()}


def fit_components(features: np.ndarray) -> dict[str, np.ndarray]:
    """Return the whitened principal components of standardised features (N, 2D), and the scans in them."""
    scale = StandardScaler().fit(features)
    pca = PCA(COMPONENTS, whiten=True, random_state=0).fit(scale.transform(features))
    projection = pca.components_.T / np.sqrt(pca.explained_variance_) / scale.scale_[:, None]
    return {
        "centre": scale.mean_,
        "projection": projection,
        "references": (features - scale.mean_) @ projection,
    }


def fit_usual(name: str, features: np.ndarray, values: np.ndarray, groups: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return a ridge regression from mean tokens to the logarithm of a score (N,); its strength is chosen over held-out
    groups.

    The spread of the tokens gets no weight: with it the regression does worse on scans that it has not seen.
    """
    width = features.shape[1] // 2
    scale = StandardScaler().fit(features[:, :width])
    grid = GridSearchCV(Ridge(), {"alpha": np.logspace(0, 5, 21)}, cv=GroupKFold(5))
    ridge = grid.fit(scale.transform(features[:, :width]), np.log(values), groups=groups).best_estimator_
    weight = ridge.coef_ / scale.scale_
    return {
        f"{name}_weight": np.concatenate([weight, np.zeros(width)]),
        f"{name}_bias": ridge.intercept_ - weight @ scale.mean_,
    }


if __name__ == "__main__":
    main()
