"""Measure certified accuracy: of how many validation scans is the smoothed answer right, and certified how far.

    python -m training.measure.certified --data br35h.npz
    python -m training.measure.certified --data br35h.npz tcga-lgg.npz cheng.npz --per-site 300 --limit 300 --draws 1000

A certificate of 1,000 draws takes 20 seconds on two cores, so that --limit scans are drawn with --seed. A run that
was cut off goes on where it stopped, and what was measured with the weights of today is not measured again.
"""

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from core import compute
from core.bundles import Bundle, load_bundle, weights_record
from core.defence.certificate import (
    CONFIDENCE,
    DENOISED_SIDE,
    DRAWS,
    SELECTION,
    SIGMAS,
    Certificate,
    certify,
    check_certifying,
)
from core.evaluation.datasets import Dataset, image_digest
from core.evaluation.journal import Journal, fingerprint
from core.evaluation.responses import batches
from core.statistics import bootstrap_interval
from training.files import read_results, write_results
from training.measure.purifiers import places_of
from training.options import bundle_options, data_words
from training.recipes.data import measured_collections, validation_scans

JOURNALS = Path("build/certified")
RADII = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
LIMIT = 100


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"how many scans, of all sites (default {LIMIT})")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"of each certificate (default {DRAWS})")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    check_certifying(bundle, draws=options.draws)
    record_certified(validation_scans(measured_collections(bundle, options), options), bundle, options)


def record_certified(val: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure what isn't known yet, and write it into results.json one strength of noise after another."""
    name, data, draws = bundle.default_classifier, val.limited(options.limit, options.seed), options.draws
    made_with = weights_record(bundle, name)
    command = certified_command(bundle, options.limit, draws, options)
    known = read_results(bundle.folder).get("certified", {})
    same = (known.get("command"), known.get("made_with"), known.get("denoised_side")) == (
        command,
        made_with,
        DENOISED_SIDE,
    )
    rows = {row["sigma"]: row for row in known["rows"]} if same else {}
    journal = opened_journal(bundle, made_with, draws, options.seed)
    for sigma in SIGMAS:
        if sigma in rows:
            continue
        made, seconds = certificates(data, bundle, sigma, draws, options.seed, journal)
        rows[sigma] = certified_row(made, data, bundle.classes) | {"seconds": seconds}
        record = {
            "command": command,
            "made_with": made_with,
            "classifier": name,
            "answering": bundle.answering(name),
            "denoised_side": DENOISED_SIDE,
            "n": len(data),
            "shape": list(data.pixels.shape[1:]),
            "draws": draws,
            "confidence": CONFIDENCE,
            "unsmoothed": unsmoothed(data, bundle),
            "rows": list(rows.values()),
        }
        write_results(bundle.folder, {"certified": record})


def certified_command(bundle: Bundle, limit: int, draws: int, options: argparse.Namespace) -> str:
    """Return the line that measures this."""
    words = ["python", "-m", "training.measure.certified", *data_words(options), "--bundle", bundle.name]
    return shlex.join([*words, "--limit", str(limit), "--draws", str(draws), "--seed", str(options.seed)])


def opened_journal(bundle: Bundle, made_with: dict[str, str], draws: int, seed: int) -> Journal:
    """Return where certificates with these weights are kept, whichever data set a scan came with."""
    run = {"weights": made_with, "classifier": bundle.default_classifier, "draws": draws, "seed": seed}
    run |= {"denoised_side": DENOISED_SIDE}
    JOURNALS.mkdir(parents=True, exist_ok=True)
    return Journal(JOURNALS / f"{bundle.name}-{fingerprint(run)[:8]}.jsonl", run)


def certificates(
    data: Dataset, bundle: Bundle, sigma: float, draws: int, seed: int, journal: Journal
) -> tuple[list[Certificate], float]:
    """Return a certificate of each scan, and the mean time of one in seconds."""
    known = {line["scan"]: line for line in journal.lines if line["sigma"] == sigma}
    made, seconds = [], []
    for pixels in tqdm(data.pixels, desc=f"σ {sigma:g}", unit="scan", disable=None):
        scan = image_digest(pixels)
        line = known.get(scan)
        if line is None:
            line = {"scan": scan, "sigma": sigma, **measured(pixels.numpy(), bundle, sigma, draws, seed)}
            journal.add(line)
            known[scan] = line
        counts = line["drawn"], line["agreeing"]
        made.append(Certificate(line["label"], sigma, line["t"], tuple(pixels.shape), draws, SELECTION, *counts))
        seconds.append(line["seconds"])
    return made, float(np.mean(seconds))


def measured(pixels: np.ndarray, bundle: Bundle, sigma: float, draws: int, seed: int) -> dict[str, Any]:
    """Return what one certificate comes to, and how long it took in seconds."""
    start = time.perf_counter()
    for step in certify(pixels, bundle, sigma=sigma, draws=draws, seed=seed):
        last = step
    counts = {"label": last.label, "t": last.t, "drawn": last.drawn, "agreeing": last.agreeing}
    return counts | {"seconds": time.perf_counter() - start}


def certified_row(made: list[Certificate], data: Dataset, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return certified accuracy at every radius for one strength of noise, over all scans and at each site."""
    right = np.array([one.label == classes[label] for one, label in zip(made, data.labels.tolist())])
    radii = np.array([np.nan if one.radius is None else one.radius for one in made])
    groups, every = np.array(data.groups), np.arange(len(data))
    return {
        "sigma": made[0].sigma,
        "t": made[0].t,
        **curve(right, radii, groups, every),
        "sites": {site: curve(right, radii, groups, places) for site, places in places_of(data).items()},
    }


def curve(right: np.ndarray, radii: np.ndarray, groups: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    """Return the shares of some scans; right, radii, groups: (N,) of all scans, NaN without a radius.

    ``certified`` has one a radius of `RADII`: the answer is right and no smaller change turns it. A scan without a
    certificate counts as wrong, and in ``abstained``.
    """
    shares = []
    for radius in RADII:
        hits = right[places] & (radii[places] >= radius)
        interval = list(bootstrap_interval(hits, groups[places]))
        shares.append({"radius": radius, "value": float(hits.mean()), "interval": interval})
    return {"n": len(places), "abstained": float(np.isnan(radii[places]).mean()), "certified": shares}


@torch.no_grad()
def unsmoothed(data: Dataset, bundle: Bundle) -> dict[str, Any]:
    """Return how often the classifier itself is right, of the same scans."""
    network = bundle.classifiers[bundle.default_classifier]
    answers = [network(data.pixels[indices].to(compute.device())).argmax(1).cpu() for indices in batches(len(data))]
    hits = (torch.cat(answers) == data.labels).numpy()
    return {"value": float(hits.mean()), "interval": list(bootstrap_interval(hits, data.groups))}


if __name__ == "__main__":
    main()
