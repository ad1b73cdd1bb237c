"""Loss and attention variation against the strength of an attack, and along MAE-Pure (its figures 4 and 7).

    python -m training.measure.variation --data br35h.npz

On the same validation scans throughout. The paper attacks with AutoAttack; this is PGD-40, which on two classes differs
from it on few scans and takes minutes instead of hours on two cores.
"""

import argparse
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from core import compute
from core.attacks import AttackSettings
from core.bundles import Bundle, load_bundle
from core.evaluation.datasets import Dataset
from core.evaluation.responses import batches
from core.evaluation.tradeoff import family_today, made_with_today
from core.fidelity.attention_variation import Variation, mask_dit_variation, variation
from core.purification.catalogue import PURIFIERS, purifier_steps
from core.purification.settings import PurifySettings
from training.conditions import pixels_under
from training.files import read_results, write_results
from training.options import bundle_options, short_command
from training.recipes.data import measured_collections, validation_scans

EPS = (0.5, 1, 2, 4, 8, 16)
PURIFIED_EPS = 8
EVERY = 10
LIMIT = 32
MASK_DIT_PURE = "maskdit-pure"


def main() -> None:
    options = bundle_options(__doc__).parse_args()
    bundle = load_bundle(options.bundle)
    val = validation_scans(measured_collections(bundle, options), options)
    record_variation(val, bundle, options)


def record_variation(val: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure both figures into results.json, unless they stand there, made with the weights of today."""
    folder, made_with = bundle.folder, made_with_today(bundle)
    family = family_today(bundle, MASK_DIT_PURE) if bundle.mask_dit else {}
    command = short_command("training.measure.variation", bundle.name, options)
    known = read_results(folder).get("variation", {})
    same = (known.get("made_with"), known.get("command"), known.get("family", {})) == (made_with, command, family)
    if same or getattr(options, "recorded", False):
        return
    data = val.limited(LIMIT, options.seed)
    figures = {
        "command": command,
        "made_with": made_with,
        "family": family,
        "n": len(data),
        **measure(data, bundle, options.seed),
    }
    write_results(folder, {"variation": figures})


def measure(data: Dataset, bundle: Bundle, seed: int) -> dict[str, Any]:
    """Return ``attack``, a point an ε, 0 first, and ``purification``, a point every `EVERY` steps, 0 first.

    ``mask_dit`` is the first of them again for the masked diffusion transformer, where the bundle holds one.
    """
    network, t = bundle.classifiers[bundle.default_classifier], PURIFIERS[MASK_DIT_PURE].t
    under: dict[float, list[Variation]] = {}
    seen: dict[float, list[Variation]] = {}
    along: dict[int, list[Variation]] = {}
    for indices in tqdm(batches(len(data)), desc="variation", disable=None):
        clean, labels = data.pixels[indices].to(compute.device()), data.labels[indices].to(compute.device())
        for eps in (0, *EPS):
            settings = AttackSettings("pgd", eps=eps)
            attacked = pixels_under(settings, network, clean, labels, seed + int(indices[0])) if eps else clean
            under.setdefault(eps, []).append(variation(attacked, clean, bundle))
            if bundle.mask_dit:
                seen.setdefault(eps, []).append(mask_dit_variation(attacked, clean, bundle.mask_dit, t, seed))
            if eps == PURIFIED_EPS:
                walk(attacked, clean, bundle, seed, along)
    return {
        "attack": [{"eps": eps, **means(parts)} for eps, parts in under.items()],
        "purification": [{"step": step, **means(parts)} for step, parts in along.items()],
        "mask_dit": [{"eps": eps, **means(parts)} for eps, parts in seen.items()],
    }


def walk(attacked: Tensor, clean: Tensor, bundle: Bundle, seed: int, along: dict[int, list[Variation]]) -> None:
    """Add the points along MAE-Pure."""
    along.setdefault(0, []).append(variation(attacked, clean, bundle))
    for step in purifier_steps(attacked, bundle, PurifySettings("mae-pure"), seed=seed):
        if (step.index + 1) % EVERY == 0:
            along.setdefault(step.index + 1, []).append(variation(step.estimate, clean, bundle))


def means(parts: list[Variation]) -> dict[str, float]:
    """Return field → mean over all scans."""
    return {
        name: float(np.mean(torch.cat([getattr(part, name) for part in parts]).tolist())) for name in Variation._fields
    }


if __name__ == "__main__":
    main()
