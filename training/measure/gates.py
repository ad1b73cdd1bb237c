"""Record how the gate of each mixture weighs its experts over the validation scans, clean and attacked.

    python -m training.measure.gates --data br35h.npz

The Experts page draws its map of gates from this, and the card says of each expert how much it counts. A condition that
was recorded with the weights of today is not measured again.
"""

import argparse
import json

import torch
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.attacks import AttackSettings
from core.bundles import Bundle, classifier_sha256, load_bundle
from core.evaluation.datasets import Dataset
from core.explanation.gates import FILE
from core.explanation.mixture import mixtures
from training.conditions import condition_name, pixels_under
from training.files import read_json
from training.options import bundle_command, bundle_options
from training.recipes.data import measured_collections, validation_scans

SPLIT = "val"
CONDITIONS = (AttackSettings(), *(AttackSettings(name, eps=eps) for name in ("fgsm", "pgd") for eps in (2, 4, 8)))
DIGITS = 4
AT_ONCE = 64


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--limit", type=int, help="so many scans, drawn with the seed; all where it isn't given")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    val = validation_scans(measured_collections(bundle, options), options)
    for classifier in mixtures(bundle):
        record_gates(val.limited(options.limit, options.seed), bundle, classifier, options)


def record_gates(data: Dataset, bundle: Bundle, classifier: str, options: argparse.Namespace) -> None:
    """Measure the conditions that aren't known yet, and write each into gates.json as it is finished."""
    path = bundle.folder / FILE
    made_with = {
        "command": bundle_command("training.measure.gates", bundle.name, options),
        "data": data.sha256,
        "split": SPLIT,
        "seed": options.seed,
        "weights": classifier_sha256(bundle, classifier),
        "labels": data.labels.tolist(),
    }
    known = read_json(path)
    entry = known.get(classifier, {})
    if any(entry.get(key) != value for key, value in made_with.items()):
        entry = made_with | {"conditions": {}}
    for settings in CONDITIONS:
        name = condition_name(settings)
        if name not in entry["conditions"]:
            entry["conditions"][name] = rounded(gates(data, bundle, classifier, settings, options.seed))
            path.write_text(json.dumps(known | {classifier: entry}) + "\n", encoding="utf-8")


def gates(data: Dataset, bundle: Bundle, classifier: str, settings: AttackSettings, seed: int) -> Tensor:
    """Return (N, K) gate weights of every scan, attacked first against the whole mixture and its true label."""
    network, rows = bundle.classifiers[classifier], []
    about = f"{classifier} {condition_name(settings)}"
    for first in tqdm(range(0, len(data), AT_ONCE), desc=about, disable=None):
        chosen = slice(first, first + AT_ONCE)
        pixels, labels = data.pixels[chosen].to(compute.device()), data.labels[chosen].to(compute.device())
        pixels = pixels_under(settings, network, pixels, labels, seed + first)
        with torch.no_grad():
            rows.append(network.weights(pixels).cpu())
    return torch.cat(rows)


def rounded(weights: Tensor) -> list[list[float]]:
    """Return weights with four digits: more would only make the file larger."""
    return [[round(value, DIGITS) for value in row] for row in weights.tolist()]


if __name__ == "__main__":
    main()
