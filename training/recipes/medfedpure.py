"""Train MedFedPure's mixture as hospitals would: experts by federated averaging with personal weights, then a gate.

    python -m training.recipes.medfedpure --data br35h.npz tcga-lgg.npz cheng.npz --out build/medfedpure \\
        --purify brain-mri --init weights/brain-mri/resnet18.safetensors
    python -m training.recipes.medfedpure --data br35h.npz --out build/invented --invented-scanners

The hospitals are the sites of the collections. Each trains its expert on its own scans, and only what isn't personal
is averaged; plain FedAvg does the same with everything averaged, to compare with. Then the gate is trained on top of
the frozen experts, by plain FedAvg again: no scan leaves its hospital. With --invented-scanners one collection is dealt
out to invented hospitals (`core.federation.hospitals`), each of which sees its scans as its own scanner shows them; for
the gate every hospital knows the others' published scanner profiles, and shows its own scans as each of them. --steps
and --gate-steps count the optimiser steps of one hospital. Run it again to go on after --minutes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.evaluation.datasets import Dataset
from core.federation.hospitals import Hospital, make_hospitals, real_hospitals, site_look
from core.models.diffusion import Diffusion
from core.models.resnet import HALF_WIDTH
from training.options import training_options
from training.recipes.cards import write_form, write_result
from training.recipes.classifier import purified_copy, purifier
from training.recipes.data import load_splits
from training.recipes.federation import Federation
from training.recipes.mixture_figures import pooled_figures
from training.tasks import BRAIN_MRI, HOSPITALS

SHARED = "It shares its convolutions with the other sites; its own scans:"
REMARKS = (
    "BatchNorm and the head are personal; the rest is averaged.",
    "The starting weights, where --init names any, were trained on all training scans together.",
)
INVENTED_REMARKS = (
    "The gate's learning rate and entropy were chosen on 100 of the validation scans that the figures are measured on.",
    "The gate learned from each scan in every hospital's look, plain FedAvg from its own hospital's alone.",
)


def main() -> None:
    options = parsed()
    train, val = load_splits(options)
    diffusion = purifier(options.purify, BRAIN_MRI["name"]) if options.purify else None
    hospitals = chosen_hospitals(train, options)
    run = Federation(options, hospitals)
    run.train([site_data(train, hospital, diffusion, options.seed) for hospital in hospitals])
    if not run.finished:
        return print("The federation is not finished; run the same command again to go on.")
    sites = sites_record(hospitals, train)
    write_form(options.out / "medfedpure.safetensors", mixture_form(sites, options))
    run.write_baselines()
    remarks = REMARKS + (INVENTED_REMARKS if options.invented_scanners else ())
    facts = {"remarks": remarks, "hospitals": sites, "rounds": run.rounds}
    own = None if options.invented_scanners else own_scans(hospitals, train, val)
    metrics = facts | pooled_figures(run.networks(), hospitals, val, diffusion, options.seed, own)
    write_result(run.averaged(), "medfedpure", options, metrics, steps=run.step, minutes=run.minutes)


def chosen_hospitals(train: Dataset, options: argparse.Namespace) -> tuple[Hospital, ...]:
    """Return the sites of the training scans as hospitals, or invented ones."""
    if options.invented_scanners:
        return make_hospitals(train.labels.tolist(), train.groups, alpha=options.alpha, seed=options.seed)
    hospitals = real_hospitals(train.sites or train.collections, HOSPITALS, options.smallest)
    if len(hospitals) < 2:
        raise SystemExit("The data have fewer than two sites; give several collections, or take --invented-scanners.")
    return hospitals


def own_scans(hospitals: Sequence[Hospital], train: Dataset, val: Dataset) -> dict[str, np.ndarray]:
    """Return hospital → places of its scans among the validation scans."""
    homes = np.array(val.sites)
    return {hospital.name: np.flatnonzero(homes == train.sites[hospital.indices[0]]) for hospital in hospitals}


def parsed() -> argparse.Namespace:
    """Return the options; --steps, --batch and --lr are those of each hospital."""
    parser = training_options(__doc__, steps=360, batch=32, lr=0.01)
    parser.add_argument("--rounds", type=int, default=12, help="federated rounds over which --steps are spread")
    parser.add_argument("--gate-steps", type=int, default=180, help="the gate's, in rounds of the same length")
    parser.add_argument("--smallest", type=int, default=100, help="training scans that a site needs to take part")
    parser.add_argument("--invented-scanners", action="store_true", help="deal the scans out to invented hospitals")
    parser.add_argument(
        "--alpha", type=float, default=0.5, help="the smaller, the more invented ones differ in classes"
    )
    parser.add_argument(
        "--shrink", type=int, default=1, help="2 looks at half the resolution, in a quarter of the time"
    )
    parser.add_argument("--width", type=int, default=HALF_WIDTH, help="channels of each expert's first stage")
    parser.add_argument("--purify", metavar="BUNDLE|FILE", help="half of the scans went through this U-Net")
    return parser.parse_args()


def site_data(train: Dataset, hospital: Hospital, diffusion: Diffusion | None, seed: int) -> tuple[Tensor, Tensor]:
    """Return a hospital's scans (N, V, C, H, W) and labels (N,): V = 1, or 2 with a copy as a purifier hands it on.

    The first version is without the site's look, which is drawn anew for each batch; the purified one has it.
    """
    own, place = train.subset(np.array(hospital.indices)), compute.device()
    pixels, labels = own.pixels.to(place), own.labels.to(place)
    if diffusion is None:
        return pixels[:, None], labels
    generator = torch.Generator().manual_seed(seed)
    seen = site_look(pixels, hospital, generator)
    copies = torch.cat([purified_copy(batch, diffusion, generator) for batch in seen.split(4)])
    return torch.stack([pixels, copies], 1), labels


def sites_record(hospitals: Sequence[Hospital], train: Dataset) -> list[dict[str, Any]]:
    """Return what the card says of the hospitals: their profiles, and how many images of each class they have."""
    records = []
    for hospital in hospitals:
        counts = np.bincount(train.labels[list(hospital.indices)], minlength=len(BRAIN_MRI["classes"])).tolist()
        record = asdict(hospital) | {"images": dict(zip(BRAIN_MRI["classes"], counts))}
        records.append({name: value for name, value in record.items() if name != "indices"})
    return records


def mixture_form(sites: Sequence[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Return how the mixture is built and who sits in it."""
    experts = []
    for site in sites:
        images = ", ".join(f"{count} {name}" for name, count in site["images"].items())
        kind = "Invented site. " if options.invented_scanners else ""
        experts.append({"name": site["name"], "training": f"{kind}{site['description']} {SHARED} {images}."})
    return {
        "architecture": "resnet18-mixture",
        "config": {"count": len(sites), "width": options.width, "shrink": options.shrink},
        "experts": experts,
    }


if __name__ == "__main__":
    main()
