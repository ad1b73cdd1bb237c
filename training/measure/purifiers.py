"""Compare the purifiers: each purifies every validation scan, clean and attacked, whether it would be flagged or not.

    python -m training.measure.purifiers --data br35h.npz
    python -m training.measure.purifiers --data br35h.npz --only "one-step t=100 n=309"

The attacker knows the classifier and not the purifier. Slow methods take fewer scans, the same for each of them, and a
fast one is measured on these too, so that they can be compared in one run. Rows that were measured with the weights and
limits of today are not measured again.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from core import compute
from core.attacks import AttackSettings
from core.bundles import Bundle, load_bundle
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.journal import fingerprint
from core.evaluation.responses import batches
from core.evaluation.tradeoff import family_is_todays, family_today, made_with_today
from core.fidelity.lesion import lesion
from core.fidelity.lesion_summary import lesion_summary
from core.fidelity.metrics import distance
from core.purification.catalogue import PURIFIERS, purified_pixels, usable_purifiers
from core.purification.settings import PurifySettings
from core.statistics import bootstrap_interval
from training.conditions import pixels_under
from training.files import read_results, write_results
from training.measure.answers import weights_digest
from training.options import bundle_options, short_command
from training.recipes.data import measured_collections, validation_scans

ATTACKED = Path("build/purifiers")
EPS = (4, 8)
FEW = 30
REPEATS, LONGEST = 5, 10.0


@dataclass(frozen=True)
class Row:
    """A purifier, and on how many of the validation scans; all of them where None."""

    settings: PurifySettings
    limit: int | None = None


ROWS = (
    *(Row(PurifySettings(name)) for name in ("none", "median", "gaussian", "jpeg", "adaptive")),
    *(Row(PurifySettings("one-step", t=t)) for t in (20, 40, 60, 80, 100, 150)),
    Row(PurifySettings("repeated")),
    Row(PurifySettings("diffpure-ddim", t=100, steps=4)),
    *(Row(PurifySettings(name), FEW) for name in ("adaptive", "diffpure", "mae-pure", "mae-pure-amv")),
    *(Row(PurifySettings(name), FEW) for name in ("rmae-pure", "maskdit-pure", "rmaskdit-pure")),
    *(Row(PurifySettings(name, t=t), FEW) for name in ("maskdit-pure", "rmaskdit-pure") for t in (15, 20, 30, 60)),
    Row(PurifySettings("one-step", t=100), FEW),
)


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--only", action="append", metavar="ROW", help="by its name, such as 'one-step t=100 n=309'")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    val = validation_scans(measured_collections(bundle, options), options)
    record_purifiers(val, bundle, options)


def record_purifiers(val: Dataset, bundle: Bundle, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return every row, measured where it isn't known, and kept in results.json as it comes."""
    folder, made_with = bundle.folder, made_with_today(bundle)
    command = short_command("training.measure.purifiers", bundle.name, options)
    known = known_rows(bundle, "purifiers", made_with, command)
    only = getattr(options, "only", None)  # `training.publish.tables` has no such option
    usable = usable_purifiers(bundle)
    for row in (row for row in ROWS if row.settings.method in usable):
        data = val.limited(row.limit, options.seed)
        name = row_name(row.settings, len(data))
        wanted = name in only if only else not getattr(options, "recorded", False)
        if name not in known and wanted:
            figures = measure(row.settings, data, attacked(val, bundle, options.seed), bundle, options.seed, name)
            family = family_today(bundle, row.settings.method)
            known[name] = {"row": name, "command": f"{command} --only {name!r}", "family": family, **figures}
            record = {"command": command, "made_with": made_with, "rows": list(known.values())}
            write_results(folder, {"purifiers": record})
    return list(known.values())


def row_name(settings: PurifySettings, count: int) -> str:
    """Return ``one-step t=100 n=309``."""
    facts = [f"{name}={value}" for name, value in (("t", settings.t), ("steps", settings.steps)) if value]
    return " ".join([settings.method, *facts, f"n={count}"])


def known_rows(
    bundle: Bundle, entry: str, made_with: dict[str, Any], command: str, key: str = "row"
) -> dict[str, dict[str, Any]]:
    """Return name → row of an earlier run of this command with the same weights and ladder; key: of the name."""
    record = read_results(bundle.folder).get(entry, {})
    if (record.get("made_with"), record.get("command")) != (made_with, command):
        return {}
    return {row[key]: row for row in record["rows"] if family_is_todays(bundle, row)}


def attacked(val: Dataset, bundle: Bundle, seed: int, classifier: str | None = None) -> dict[str, Tensor]:
    """Return ``clean`` and each ε → (N, C, H, W) of all scans; the attacked ones are kept in `ATTACKED`.

    They are attacks on the bundle's default classifier where no other one is named.
    """
    name = bundle.classifier_name(classifier)
    sets, weights = {"clean": val.pixels}, weights_digest(bundle, name)
    scans = fingerprint({"scans": [image_digest(pixels) for pixels in val.pixels]})
    for eps in EPS:
        path = ATTACKED / f"{bundle.name}-{scans[:8]}-{weights[:8]}-pgd-{eps}-{seed}.safetensors"
        if not path.is_file():
            ATTACKED.mkdir(parents=True, exist_ok=True)
            save_file({"pixels": attack(val, bundle.classifiers[name], eps, seed)}, path)
        sets[f"attacked_{eps}"] = load_file(path)["pixels"]
    return sets


def attack(val: Dataset, network: nn.Module, eps: float, seed: int) -> Tensor:
    """Return (N, C, H, W) under PGD-40 at `eps`, the same pixels as behind the recorded answers."""
    settings, parts = AttackSettings("pgd", eps=eps), []
    for indices in tqdm(batches(len(val)), desc=f"pgd {eps}/255", disable=None):
        pixels, labels = val.pixels[indices].to(compute.device()), val.labels[indices].to(compute.device())
        parts.append(pixels_under(settings, network, pixels, labels, seed + int(indices[0])).cpu())
    return torch.cat(parts)


def measure(
    settings: PurifySettings, data: Dataset, sets: dict[str, Tensor], bundle: Bundle, seed: int, name: str
) -> dict[str, Any]:
    """Return one row: accuracy after purification, SSIM to the clean scans, what is left of lesions, and the time."""
    network = bundle.classifiers[bundle.default_classifier]
    whole = {image.numpy().tobytes(): place for place, image in enumerate(sets["clean"])}
    chosen = [whole[image.numpy().tobytes()] for image in data.pixels]
    with torch.no_grad():
        before = torch.cat([network(data.pixels[i].to(compute.device())).argmax(1).cpu() for i in batches(len(data))])
    figures: dict[str, Any] = {
        "method": settings.method,
        "title": PURIFIERS[settings.method].title,
        "t": settings.t or PURIFIERS[settings.method].t,
        "steps": settings.steps or PURIFIERS[settings.method].steps,
        "n": len(data),
        "intervals": {},
        "sites": {site: {"n": len(places), "intervals": {}} for site, places in places_of(data).items()},
    }
    for condition, pixels in sets.items():
        estimates, answers = [], []
        for indices in tqdm(batches(len(data)), desc=f"{name}, {condition}", disable=None):
            estimate = purify(pixels[chosen][indices].to(compute.device()), bundle, settings, seed)
            with torch.no_grad():
                answers += network(estimate).argmax(1).tolist()
            estimates.append(estimate.cpu())
        made = torch.cat(estimates)
        note(figures, condition, np.array(answers), before.numpy(), data)
        figures[f"ssim_{condition}"] = mean_ssim(data.pixels, made)
        figures[f"lesion_{condition}"] = lesions(data, made)
        for site, places in places_of(data).items():
            part = data.subset(places)
            note(figures["sites"][site], condition, np.array(answers)[places], before.numpy()[places], part)
            figures["sites"][site][f"lesion_{condition}"] = lesions(part, made[places])
    return figures | {"ms": 1000 * seconds(data.pixels[:1], bundle, settings, seed)}


def places_of(data: Dataset) -> dict[str, np.ndarray]:
    """Return site → (M,) which scans are its; empty where the data states one site or none."""
    names = sorted(set(data.sites))
    return {name: np.flatnonzero(np.array(data.sites) == name) for name in names} if len(names) > 1 else {}


def note(figures: dict[str, Any], condition: str, after: np.ndarray, before: np.ndarray, data: Dataset) -> None:
    """Put the share of right answers to the estimates, of all scans and of those that are right as they are, and the
    share of kept answers into `figures`; after, before: (N,) classes."""
    labels, groups = data.labels.numpy(), np.array(data.groups)
    right, everything = before == labels, np.ones(len(labels), dtype=bool)
    shares = {condition: (after == labels, everything), f"{condition}_of_right": (after == labels, right)}
    for name, (hits, among) in (shares | {f"{condition}_kept": (after == before, everything)}).items():
        figures[name] = float(hits[among].mean()) if among.any() else None
        if among.any():
            figures["intervals"][name] = list(bootstrap_interval(hits[among], groups[among]))


def purify(pixels: Tensor, bundle: Bundle, settings: PurifySettings, seed: int) -> Tensor:
    """Return (B, C, H, W) estimates."""
    return purified_pixels(pixels, bundle, settings, seed=seed).detach()


def mean_ssim(before: Tensor, after: Tensor) -> float:
    """Return the mean over (N, C, H, W) pairs."""
    return float(np.mean([distance(a.numpy(), b.numpy()).ssim for a, b in zip(before, after)]))


def lesions(data: Dataset, estimates: Tensor) -> dict[str, Any] | None:
    """Return what purification left of the outlined tumours; None where no scan has an outline."""
    if data.masks is None:
        return None
    outlined = np.flatnonzero(data.has_mask.numpy())
    images = ((data.pixels[i].numpy(), estimates[i].numpy(), data.masks[i].numpy()) for i in outlined)
    return lesion_summary([lesion(*image) for image in images], [data.groups[i] for i in outlined])


def seconds(pixels: Tensor, bundle: Bundle, settings: PurifySettings, seed: int) -> float:
    """Return the median time of one (1, C, H, W) scan, after one run to warm up; a slow purifier runs less often."""
    times: list[float] = []
    while len(times) <= REPEATS and sum(times) < LONGEST:
        start = time.perf_counter()
        purify(pixels.to(compute.device()), bundle, settings, seed)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)


if __name__ == "__main__":
    main()
