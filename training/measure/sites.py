"""How well a classifier finds the class at each site and under each sequence, and how far its probabilities hold.

    python -m training.measure.sites --data br35h.npz tcga-lgg.npz cheng.npz --classifier resnet18
    python -m training.measure.sites --data br35h.npz tcga-lgg.npz cheng.npz --classifier FILE --out sites.json

What a classifier of the bundle reaches on val goes into its results.json; --out writes a file instead.
No attack and no defence. AUC, sensitivity and specificity where a task has two classes, the second of which is to be
found; 95 % intervals by bootstrap over patients or near-duplicate groups. The calibration error is stated of the plain
probabilities and of those divided by one temperature (Guo et al. 2017), which is fitted without the image's own fold.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.model_selection import GroupKFold
from torch import nn

from core import compute
from core.bundles import classifier_sha256, file_sha256, load_bundle
from core.evaluation.datasets import Dataset
from core.statistics import auc, auc_interval, bootstrap_interval, calibration_error
from training.files import read_results, write_json, write_results
from training.options import command_options, data_options
from training.recipes.cards import command_line, trained_classifier
from training.recipes.data import load_collections, without_sites
from training.tasks import BRAIN_MRI, TASKS

FOLDS = 5
KEY = "sites"
HOW = "95 %, bootstrap over patients, blocks or near-duplicate groups"


def main() -> None:
    parser = command_options(__doc__)
    data_options(parser)
    parser.add_argument("--classifier", required=True, metavar="NAME|FILE", help="of the bundle, or a recipe's weights")
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BRAIN_MRI["name"])
    parser.add_argument("--split", choices=("val", "all"), default="val")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    data = without_sites(load_collections(options.data, options.bundle), options.leave_out)
    data = data.split("val") if options.split == "val" else data
    network, sha256 = chosen_classifier(options.classifier, options.bundle)
    scores = logits(network, data)
    record = {
        "command": command_line(),
        "classifier": Path(options.classifier).name,
        "weights_sha256": sha256,
        "data_sha256": data.sha256,
        "split": options.split,
        "intervals": HOW,
        "temperature": temperature(scores, data.labels.numpy()),
        **site_figures(data, scores, fitted_apart(scores, data)),
    }
    if options.out:
        write_json(options.out, record)
    elif options.split == "val" and Path(options.classifier).suffix != ".safetensors":
        folder = load_bundle(options.bundle).folder
        write_results(folder, {KEY: read_results(folder).get(KEY, {}) | {options.classifier: record}})
    print(json.dumps(record["all"], indent=1))


def chosen_classifier(name: str, bundle: str) -> tuple[nn.Module, str]:
    """Return a classifier of a bundle, or a recipe's, and the SHA-256 of its weights file."""
    if Path(name).suffix != ".safetensors":
        loaded = load_bundle(bundle)
        return loaded.classifiers[name], classifier_sha256(loaded, name)
    task = TASKS[bundle]
    return trained_classifier(Path(name), task["input"]["channels"], len(task["classes"])), file_sha256(Path(name))


@torch.no_grad()
def logits(network: nn.Module, data: Dataset) -> np.ndarray:
    """Return (N, classes) logits."""
    batches = data.pixels.split(64)
    found = [network(x.to(compute.device()).contiguous(memory_format=torch.channels_last)) for x in batches]
    return torch.cat(found).double().cpu().numpy()


def probabilities(scores: np.ndarray, heat: float | np.ndarray = 1.0) -> np.ndarray:
    """Return the softmax of (N, classes) logits divided by a temperature, or by (N, 1) of them."""
    scaled = scores / heat
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return what logits must be divided by for the true classes to be likeliest."""

    def surprise(power: float) -> float:
        own = probabilities(scores, np.exp(power))[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(own, 1e-300)).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-3, 3), method="bounded").x))


def fitted_apart(scores: np.ndarray, data: Dataset) -> np.ndarray:
    """Return (N, 1) temperatures, each fitted on the folds that an image's group isn't in."""
    labels, heat = data.labels.numpy(), np.ones((len(scores), 1))
    folds = GroupKFold(min(FOLDS, len(set(data.groups))))
    for rest, own in folds.split(scores, groups=data.groups):
        heat[own] = temperature(scores[rest], labels[rest])
    return heat


def site_figures(data: Dataset, scores: np.ndarray, heat: float | np.ndarray) -> dict[str, Any]:
    """Return the figures of all scans, and by collection, site, sequence, and site and sequence."""
    record: dict[str, Any] = {}
    for kind, name, chosen in cuts(data):
        own = heat[chosen] if isinstance(heat, np.ndarray) else heat
        found = figures(scores[chosen], data.labels.numpy()[chosen], np.array(data.groups)[chosen], own)
        record |= {kind: record.get(kind, {}) | {name: found}} if name else {kind: found}
    return record


def cuts(data: Dataset) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the kind, the name and the places of every part that is reported; the whole has no name."""
    yield "all", "", np.arange(len(data))
    columns = {"collections": data.collections, "sites": data.sites or data.collections, "sequences": data.sequences}
    if data.sequences:
        columns["sites_and_sequences"] = tuple(map(", ".join, zip(columns["sites"], data.sequences)))
    for kind, column in columns.items():
        for name in sorted(set(column)):
            yield kind, name, np.flatnonzero(np.array(column) == name)


def figures(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, heat: float | np.ndarray) -> dict[str, Any]:
    """Return the figures of some scans: (N, classes) logits, (N,) true classes and groups; None where none applies."""
    plain, calibrated = probabilities(scores), probabilities(scores, heat)
    answers = plain.argmax(1)
    right = answers == labels
    record: dict[str, Any] = {"n": len(labels), "groups": len(set(groups))}
    everything = np.ones(len(labels), dtype=bool)
    shares = {"accuracy": everything}
    if scores.shape[1] == 2:
        positive = labels == 1
        record |= {"positives": int(positive.sum())} | area(plain[:, 1], positive, groups)
        shares |= {"sensitivity": positive, "specificity": ~positive}
    for name, among in shares.items():
        record[name] = float(right[among].mean()) if among.any() else None
        record[f"{name}_interval"] = list(bootstrap_interval(right[among], groups[among])) if among.any() else None
    for name, chances in {"ece_plain": plain, "ece": calibrated}.items():
        record[name], interval = calibration_error(chances.max(1), right, groups)
        record[f"{name}_interval"] = list(interval)
    return record


def area(chances: np.ndarray, positive: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return the AUC and its interval; None where one class is missing."""
    if positive.all() or not positive.any():
        return {"auc": None, "auc_interval": None}
    negatives, positives = chances[~positive], chances[positive]
    interval = auc_interval(negatives, positives, groups[~positive], attacked_groups=groups[positive])
    return {"auc": auc(negatives, positives), "auc_interval": list(interval)}


if __name__ == "__main__":
    main()
