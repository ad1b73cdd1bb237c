"""Train the masked autoencoder.

    python -m training.recipes.mae --data br35h.npz tcga-lgg.npz cheng.npz --out build/mae --part 32 \\
        --init weights/brain-mri/mae.safetensors
    python -m training.recipes.mae --data pbc.zip --bundle blood-cells --out build/cells --lr 1e-3
    python -m training.recipes.mae --data lc25000.zip --bundle lung-histology --out build/tissue --lr 1e-3 \\
        --init weights/blood-cells/mae.safetensors

The rate stays constant, and what is written is an average of the weights: it can be stopped, or gone on with by more
--steps, at any time.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from core import compute
from core.evaluation.datasets import Dataset
from core.models.mae import MaskedAutoencoder
from core.models.objectives import drawn_masks, masked_error, reconstruction_error
from training.options import part_option, recipe_options
from training.recipes.augmentation import FAITHFUL
from training.recipes.cards import write_form
from training.recipes.data import batches, by_collection, load_splits
from training.recipes.run import Loss, Run, parts
from training.recipes.weights import fitting, seeded
from training.tasks import BRAIN_MRI, PRIOR_WEIGHTS, TASKS, short_name

BRAIN = {
    "patch": 8,
    "width": 256,
    "depth": 8,
    "heads": 8,
    "decoder_width": 192,
    "decoder_depth": 4,
    "decoder_heads": 6,
}
CELLS = {
    "patch": 4,
    "width": 192,
    "depth": 6,
    "heads": 6,
    "decoder_width": 128,
    "decoder_depth": 3,
    "decoder_heads": 4,
}
CHESTS = {
    "patch": 2,
    "width": 64,
    "depth": 4,
    "heads": 4,
    "decoder_width": 48,
    "decoder_depth": 1,
    "decoder_heads": 4,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "brain-mri": BRAIN,
    "blood-cells": CELLS,
    "lung-histology": CELLS | {"patch": 8},
    "chest-xray": CHESTS,
}
PARTS = (2, 4)  # hide a half or a quarter, as the detector hides a quarter
MEASURED = 256  # val scans of a collection at most


def main() -> None:
    parser = recipe_options(__doc__, steps=12000, batch=64, lr=3e-4, schedule="constant", warm_up=200)
    part_option(parser)
    parser.add_argument("--bundle", choices=sorted(CONFIGS), default=BRAIN_MRI["name"], help="the task")
    options = parser.parse_args()
    train, val = load_splits(options, options.bundle)
    config, name = CONFIGS[options.bundle], f"{short_name(options.bundle)}-mae"
    size = TASKS[options.bundle]["input"]
    network = seeded(lambda: MaskedAutoencoder(**size, **config), f"{name} {options.seed}")
    run = Run(name, network, options, fit=fitting)
    run.train(objective(train, options))
    trained = run.averaged()
    errors = {name: validate(trained, part.pixels) for name, part in by_collection(val, MEASURED).items()}
    run.finish("mae", {"val_masked_mse": errors})
    write_form(options.out / "mae.safetensors", {"config": config})


def objective(train: Dataset, options: argparse.Namespace) -> Loss:
    """Return what a step minimises: the error of what was hidden, and how unlikely it was by its predicted variance."""
    place, augment, drawn = compute.device(), FAITHFUL[options.bundle], batches(train, options, PRIOR_WEIGHTS)

    def loss(network: MaskedAutoencoder, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        images = augment(train.pixels[drawn(step, generator)].to(place), generator)
        hide = PARTS[int(torch.randint(len(PARTS), (1,), generator=generator))]
        for share, some in parts(len(images), options):
            hidden = drawn_masks(len(images[some]), network.patch_count, hide, generator).to(place)
            with compute.fast_autocast():
                error, log_variance = masked_error(network, images[some], hidden)
            yield share, reconstruction_error(error, log_variance, hidden)

    return loss


@torch.no_grad()
def validate(network: MaskedAutoencoder, pixels: Tensor) -> dict[str, float]:
    """Return the mean squared error of hidden patches, a quarter hidden at a time, masks seeded; and of how many."""
    generator = torch.Generator().manual_seed(0)
    errors = []
    for images in pixels.split(16):
        hidden = drawn_masks(len(images), network.patch_count, 4, generator).to(compute.device())
        with compute.fast_autocast():
            error, _ = masked_error(network, images.to(compute.device()), hidden)
        errors.append(error[hidden])
    return {"mse": round(torch.cat(errors).mean().item(), 6), "n": len(pixels)}


if __name__ == "__main__":
    main()
