"""How well the classifier does at a site that it learned nothing from: trained without each site in turn.

    python -m training.measure.leave_one_out --data br35h.npz tcga-lgg.npz cheng.npz --out build/leave-one-out \\
        --init FILE --init-saw br35h --steps 500

All scans of the site that is left out are measured, those of its training split too. --init may have seen some sites,
which --init-saw must name: where one of these is left out, the run begins with random weights instead. The temperature
of the probabilities is fitted on the validation scans of the other sites. A site that has been measured is not trained
again, and a run that was cut off goes on, if it is given the options that it was begun with; everything goes into
leave-one-out.json in the folder, and with --record into the bundle's results.json.
"""

import argparse
import json
from typing import Any

import numpy as np

from core.bundles import file_sha256, load_bundle
from core.evaluation.datasets import Dataset
from training.files import read_json, write_json, write_results
from training.measure.sites import HOW, logits, site_figures, temperature
from training.recipes import classifier
from training.recipes.cards import command_line, started_from
from training.recipes.data import load_collections, without_sites

RECORD = "leave-one-out.json"
BEGUN = "begun.json"
SHAPING = ("lr", "architecture", "width", "weights", "batch", "purify", "attack")  # options that shape a run
KEY = "left_out"


def main() -> None:
    options = parsed()
    data = without_sites(load_collections(options.data, options.bundle), options.leave_out)
    for site in chosen_sites(data, options):
        own = site_options(site, options)
        if measured(options, site) == basis(own, data):
            continue
        check_begun(own, data)
        run = classifier.trained(without_sites(data, [site]).split("train"), own)
        if not run.finished:
            return print("Not finished; run the same command again to go on.")
        begun_with = {"started_from": run.history["started_from"]}
        keep(options, site, basis(own, data) | begun_with | results(run, data, site, own))
    if options.record:
        write_results(load_bundle(options.bundle).folder, {KEY: read_json(options.out / RECORD)})


def parsed() -> argparse.Namespace:
    parser = classifier.options_parser(__doc__)
    parser.add_argument("--init-saw", nargs="+", default=[], metavar="SITE", help="sites that --init learned from")
    parser.add_argument("--smallest", type=int, default=100, help="scans that a site needs to be left out")
    parser.add_argument("--sites", nargs="+", help="leave out these alone")
    parser.add_argument("--record", action="store_true", help="publish the figures with the bundle")
    parser.set_defaults(steps=500)
    options = parser.parse_args()
    if options.init and not options.init_saw:
        parser.error("Say with --init-saw which sites the weights of --init have learned from.")
    return options


def chosen_sites(data: Dataset, options: argparse.Namespace) -> list[str]:
    """Return the sites to leave out in turn."""
    names, counts = np.unique(data.sites or data.collections, return_counts=True)
    return options.sites or [str(name) for name, count in zip(names, counts) if count >= options.smallest]


def site_options(site: str, options: argparse.Namespace) -> argparse.Namespace:
    """Return the options of the run without one site, in a folder of its own, from weights that never saw it."""
    init = None if site in options.init_saw else options.init
    changed = {"leave_out": [*options.leave_out, site], "init": init, "out": options.out / site}
    return argparse.Namespace(**vars(options) | changed)


def basis(options: argparse.Namespace, data: Dataset) -> dict[str, Any]:
    """Return what the figures of one site depend on."""
    return {
        "started_from": started_from(options.init),
        "steps": options.steps,
        "seed": options.seed,
        "left_out": options.leave_out,
        "data_sha256": data.sha256,
    }


def check_begun(options: argparse.Namespace, data: Dataset) -> None:
    """Note beside the checkpoint what a run is begun with; SystemExit where it was begun with something else."""
    path = options.out / BEGUN
    today = basis(options, data) | {"data": [path.name for path in options.data]}
    today |= {name: getattr(options, name) for name in SHAPING}
    today = json.loads(json.dumps(today))
    begun = read_json(path)
    if begun and (options.out / "checkpoint.safetensors").is_file():
        if changed := [name for name in today if begun.get(name) != today[name]]:
            raise SystemExit(
                f"The run in {options.out} was begun with another {changed[0].replace('_', ' ')}; take what it was "
                "begun with, or another --out."
            )
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(path, today)


def results(run: Any, data: Dataset, site: str, options: argparse.Namespace) -> dict[str, Any]:
    """Write the weights of a finished run; return the figures of the site that it never saw."""
    homes = np.array(data.sites or data.collections)
    unseen, val = data.subset(np.flatnonzero(homes == site)), without_sites(data, [site]).split("val")
    network = run.averaged()
    heat = temperature(logits(network, val), val.labels.numpy())
    found = site_figures(unseen, logits(network, unseen), heat)
    weights = classifier.finish(run, found["all"], options)
    kept = {kind: found[kind] for kind in ("all", "sequences") if kind in found}
    return {"weights_sha256": file_sha256(weights), "minutes": round(run.minutes, 1), "temperature": heat, **kept}


def measured(options: argparse.Namespace, site: str) -> dict[str, Any]:
    """Return what the recorded figures of a site depend on; empty where there are none."""
    row = read_json(options.out / RECORD).get("sites", {}).get(site, {})
    return {key: row[key] for key in ("started_from", "steps", "seed", "left_out", "data_sha256") if key in row}


def keep(options: argparse.Namespace, site: str, row: dict[str, Any]) -> None:
    """Write the figures of one site, and leave the others as they are."""
    record = read_json(options.out / RECORD)
    head = {"command": command_line(), "intervals": HOW}
    write_json(options.out / RECORD, head | {"sites": record.get("sites", {}) | {site: row}})
    print(site, row["all"], flush=True)


if __name__ == "__main__":
    main()
