"""Measure what bit flips, attacks and corruptions do to a bundle's classifiers, and what the guard makes of it.

    python -m training.measure.faults --data br35h.npz
    python -m training.measure.faults --data br35h.npz --only bits --only worst_case --classifier mamba

The studies are those of 'Is Mamba reliable for medical imaging?', and those that it leaves open: a guard, and flips and
attacks together. All run on the same validation scans. They are written into faults.json of the bundle's folder one by
one, and what was recorded with the weights of today, on the same scans and with the same seed, is not measured again.
"""

import argparse
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from core import compute
from core.bundles import Bundle, classifier_sha256, load_bundle
from core.evaluation.datasets import Dataset
from core.faults.ranges import Ranges, learn_ranges
from core.faults.record import FILE, STUDIES
from core.faults.study import data_files, same_data
from training.files import read_json, write_json
from training.measure.flips.bench import Bench
from training.measure.flips.studies import MEASURES
from training.options import bundle_options, data_words
from training.recipes.data import measured_collections

SCANS = 64
CALIBRATION = 512  # training scans that ranges are learned on, as they are and augmented


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--classifier", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--only", action="append", choices=STUDIES, metavar="STUDY", help=", ".join(STUDIES))
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    data = measured_collections(bundle, options)
    record_faults(data, bundle, options)


def record_faults(data: Dataset, bundle: Bundle, options: argparse.Namespace) -> None:
    """Measure every study that isn't recorded with the weights of today, of the same scans and with the same seed.

    Classifiers that were added to a bundle that comes with Purescan are left out, as its records hold its own alone.

    Parameters
    ----------
    data : Dataset
        With the splits train and val.
    options : Namespace
        `data` and `seed`; `classifier` and `only`, lists of names, narrow the work down. With `recorded` nothing is
        measured.

    Raises
    ------
    SystemExit
        One sentence: a classifier that was named was added.
    """
    if getattr(options, "recorded", False):
        return
    place = compute.device()
    val = on(place, data.split("val").limited(SCANS, options.seed))
    train = on(place, data.split("train").limited(CALIBRATION, options.seed))
    for classifier in asked(bundle, getattr(options, "classifier", None)):
        bench = Bench(bundle, classifier, val, train, options.seed)
        record_classifier(bench, getattr(options, "only", None) or list(STUDIES), data_words(options))


def asked(bundle: Bundle, named: Sequence[str] | None) -> list[str]:
    """Return the classifiers named, or all of the bundle's own; SystemExit where one that was named was added."""
    if not named:
        return [name for name in bundle.classifiers if name not in bundle.added]
    names = [bundle.classifier_name(name) for name in named]
    if added := [name for name in names if name in bundle.added]:
        raise SystemExit(
            f"{added[0]} was added to {bundle.name}, whose records hold its own classifiers; leave it out."
        )
    return names


def record_classifier(bench: Bench, studies: Sequence[str], data: Sequence[str]) -> None:
    """All that one classifier still lacks."""
    path = bench.bundle.folder / FILE
    made_with = {"made_with": classifier_sha256(bench.bundle, bench.classifier)}
    made_with |= {"data_sha256": bench.val.sha256, "seed": bench.seed}

    def known() -> dict[str, Any]:
        return read_json(path).get(bench.classifier, {})

    def fresh(study: str) -> bool:
        return is_fresh(known().get(study, {}), made_with, data_files(command(bench, study, data)))

    if fresh("ranges"):
        bench.ranges = Ranges.from_json(known()["ranges"])
    else:
        bench.ranges = calibrated(bench)
        keep(path, bench.classifier, "ranges", {**made_with, **bench.ranges.to_json()})
    for study in studies:
        if fresh(study):
            continue
        started = time.perf_counter()
        rows = list(tqdm(MEASURES[study](bench), desc=f"{bench.classifier}: {study}", unit="row", disable=None))
        entry = {**made_with, "command": command(bench, study, data), "n": len(bench.val)}
        entry |= {"minutes": round((time.perf_counter() - started) / 60, 2), "rows": rows}
        keep(path, bench.classifier, study, entry)


def is_fresh(entry: Mapping[str, Any], today: Mapping[str, Any], files: tuple[str, ...]) -> bool:
    """Return whether a study was made with the weights, the data and the seed of today.

    Records from before the data's digest was noted name their files, and those of ranges from then neither.
    """
    if entry.get("made_with") != today["made_with"] or entry.get("seed", today["seed"]) != today["seed"]:
        return False
    then = data_files(entry["command"]) if "command" in entry else files
    return same_data((then, entry.get("data_sha256", "")), (files, today["data_sha256"]))


def calibrated(bench: Bench) -> Ranges:
    """Return the ranges of the training scans, as they are and augmented as in training."""
    changed = bench.augment(bench.train.pixels, torch.Generator().manual_seed(bench.seed))
    return learn_ranges(bench.network, torch.cat([bench.train.pixels, changed]))


def on(place: torch.device, data: Dataset) -> Dataset:
    """Return the same scans on the device."""
    return Dataset(data.pixels.to(place), data.labels.to(place), data.groups, data.splits, data.sha256)


def command(bench: Bench, study: str, data: Sequence[str]) -> str:
    """Return what measures one study on its own."""
    words = ["python", "-m", "training.measure.faults", *data, "--bundle", bench.bundle.name]
    words += ["--classifier", bench.classifier, "--only", study]
    return shlex.join(words + (["--seed", str(bench.seed)] if bench.seed else []))


def keep(path: Path, classifier: str, study: str, entry: dict[str, Any]) -> None:
    """Write one study; what else is in the file stays."""
    record = read_json(path)
    record.setdefault(classifier, {})[study] = entry
    write_json(path, record)


if __name__ == "__main__":
    main()
