"""What a site's profile does to false alarms: fitted on some patients' scans, measured on those of others.

    python -m training.measure.profiles --data tcga-lgg.npz --site FG --scans 60 --draws 100 --scores build/lgg.jsonl

Each draw puts patients in random order, takes them until they hold enough scans, fits a profile on --scans of these,
and measures on every scan of the other patients. Slices of one patient are alike, so that this is harder than what the
profile promises, which is about scans drawn as those to come are; the same with scans drawn at random, whoever's they
are, stands beside it. Scans that the scope gate refuses count for neither. Prints JSON.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from core import compute
from core.bundles import Bundle, load_bundle, weights_record
from core.bundles.calibration import Limits
from core.defence.profile import CONFIDENCE, fit_profile, groups_of
from core.detection.scores import gather_evidence
from core.evaluation.datasets import Dataset, DatasetError
from core.evaluation.journal import Journal
from core.evaluation.responses import batches
from training.options import bundle_options
from training.recipes.cards import command_line
from training.recipes.data import measured_collections

Scores = Mapping[str, np.ndarray]
SPLITS = {"val": ("val",), "all": ("train", "val", "test")}


def main() -> None:
    options = parsed()
    bundle = load_bundle(options.bundle)
    name = bundle.classifier_name(options.classifier)
    data = chosen(measured_collections(bundle, options), options)
    scores, distance = measured(data, bundle, name, options)
    limits = bundle.limits_of(name)
    accepted = distance <= limits.scope_limit
    kept = {score: values[accepted] for score, values in scores.items()}
    patients = np.array(data.groups)[accepted]
    report = {
        "command": command_line(),
        "bundle": bundle.name,
        "classifier": name,
        "data_sha256": data.sha256,
        "weights_sha256": weights_record(bundle, name),
        "site": options.site,
        "split": options.split,
        "n": len(data),
        "refused": int((~accepted).sum()),
        "patients": len(set(patients)),
        "scans": options.scans,
        "draws": options.draws,
        "confidence": CONFIDENCE,
        "groups": {
            question: group_report(question, kept, patients, bundle, name, options) for question in groups_of(limits)
        },
    }
    print(json.dumps(report, indent=1))


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = bundle_options(__doc__)
    parser.add_argument("--classifier", help="one of the bundle's (default: its own)")
    parser.add_argument("--site", help="of the data set's `site`; all of them where none is named")
    parser.add_argument("--split", default="val", choices=SPLITS)
    parser.add_argument("--scans", type=int, default=60, help="that a profile is fitted on")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--scores", type=Path, help="keep the scores here, and go on from them")
    return parser.parse_args()


def chosen(data: Dataset, options: argparse.Namespace) -> Dataset:
    """Return the scans of the wanted split and site."""
    kept = np.isin(data.splits, SPLITS[options.split])
    if options.site is not None:
        if not data.sites:
            raise DatasetError(f"{options.data[0].name} states no sites; leave --site out.")
        kept &= np.array(data.sites) == options.site
    if not kept.any():
        raise DatasetError(f"The data holds no scan of the split {options.split} at {options.site}.")
    return data.subset(np.flatnonzero(kept))


@torch.no_grad()
def measured(data: Dataset, bundle: Bundle, classifier: str, options: argparse.Namespace) -> tuple[Scores, np.ndarray]:
    """Return score → (N,), and (N,) the distance to the training scans, as `examine` computes them."""
    run = {"data": data.sha256, "n": len(data), "groups": data.groups, "seed": options.seed}
    run |= {"weights": weights_record(bundle, classifier), "classifier": classifier}
    journal = Journal(options.scores, json.loads(json.dumps(run))) if options.scores else None
    known = {line["first"]: line for line in journal.lines} if journal else {}
    lines = []
    for indices in tqdm(batches(len(data)), desc="scores", disable=None):
        first = int(indices[0])
        if first not in known:
            pixels = data.pixels[indices].to(compute.device())
            found = gather_evidence(pixels, bundle, bundle.classifiers[classifier], [options.seed] * len(indices))
            known[first] = {
                "first": first,
                "scores": {name: values.tolist() for name, values in found.scores.items()},
                "distance": found.scope_distance.tolist(),
            }
            if journal:
                journal.add(known[first])
        lines.append(known[first])
    scores = {name: np.concatenate([line["scores"][name] for line in lines]) for name in lines[0]["scores"]}
    return scores, np.concatenate([line["distance"] for line in lines])


def group_report(
    question: str, scores: Scores, patients: np.ndarray, bundle: Bundle, classifier: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the false alarms of one question of the detector, as shipped and with profiles."""
    shipped = bundle.limits_of(classifier)
    ways = {"by_patient": draws_by_patient, "by_scan": draws_by_scan}
    report: dict[str, Any] = {"as_shipped": float(alarms(scores, shipped, question).mean())}
    for way, draw in ways.items():
        rates = []
        for fitted, rest in draw(patients, options):
            profile = fit_profile({name: values[fitted] for name, values in scores.items()}, bundle, classifier)
            others = {name: values[rest] for name, values in scores.items()}
            both = (shipped, profile.applied_to(shipped))
            rates.append([float(alarms(others, limits, question).mean()) for limits in both])
            report |= {"alpha": profile.groups[question].alpha, "bound": profile.groups[question].bound}
        before, after = np.array(rates).T
        report[way] = {"as_shipped": summary(before), "with_profile": summary(after)}
        report[way]["within_bound"] = float((after <= report["bound"]).mean())
    return report


def alarms(scores: Scores, limits: Limits, question: str) -> np.ndarray:
    """Return (N,) bool: whether any score of this question is above its threshold."""
    return np.any([scores[name] > limits.thresholds[name] for name in groups_of(limits)[question].shares], axis=0)


def draws_by_patient(patients: np.ndarray, options: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the scans to fit on, of some patients, and all scans of the others."""
    random = np.random.default_rng(options.seed)
    for _ in range(options.draws):
        order = random.permutation(np.unique(patients))
        counts = np.cumsum([(patients == name).sum() for name in order])
        enough = int(np.searchsorted(counts, options.scans)) + 1
        if enough >= len(order):
            raise DatasetError(f"{len(order)} patients are too few to fit on {options.scans} scans of some of them.")
        own = np.flatnonzero(np.isin(patients, order[:enough]))
        yield random.choice(own, options.scans, replace=False), ~np.isin(patients, order[:enough])


def draws_by_scan(patients: np.ndarray, options: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the scans to fit on, and all others, whoever's they are."""
    random = np.random.default_rng(options.seed)
    for _ in range(options.draws):
        order = random.permutation(len(patients))
        yield order[: options.scans], order[options.scans :]


def summary(rates: np.ndarray) -> dict[str, float]:
    """Return the mean over the draws, and the rate that one draw in ten is above."""
    return {"mean": float(rates.mean()), "worst_tenth": float(np.quantile(rates, 0.9))}


if __name__ == "__main__":
    main()
