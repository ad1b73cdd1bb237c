"""Train the diffusion model that purifies and denoises.

    python -m training.recipes.unet --data br35h.npz tcga-lgg.npz cheng.npz --out build/unet --part 8 \\
        --init weights/brain-mri/unet.safetensors
    python -m training.recipes.unet --data pbc.zip --bundle blood-cells --out build/cells --batch 64 --lr 4e-4
    python -m training.recipes.unet --data lc25000.zip --bundle lung-histology --out build/tissue --batch 16 \\
        --init weights/blood-cells/unet.safetensors
    python -m training.recipes.unet --data br35h.npz tcga-lgg.npz cheng.npz --out build/robust --part 8 \\
        --init build/unet/unet.safetensors --attack build/resnet18/resnet18.safetensors --steps 800 --schedule cosine

The rate stays constant, and what is written is an average of the weights: it can be stopped, or gone on with by more
--steps, at any time. Half of all t are below 250, where purification and detection work; the rest from everywhere.
A short run for those two alone takes more of them: --small-t 0.9.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.attacks import AttackSettings
from core.evaluation.datasets import Dataset
from core.models.diffusion import Diffusion
from core.models.objectives import CLASS_DROPPED, drawn_times
from training.options import part_option, recipe_options
from training.recipes.augmentation import FAITHFUL
from training.recipes.cards import trained_classifier, write_form
from training.recipes.data import batches, by_collection, load_splits
from training.recipes.dwf_lessons import drawn as drawn_value
from training.recipes.dwf_lessons import some_attacked
from training.recipes.faster import quickened
from training.recipes.run import Loss, Run, parts
from training.recipes.weights import fitting, named_as, seeded
from training.tasks import BRAIN_MRI, PRIOR_WEIGHTS, TASKS, short_name

BRAIN = {
    "sample_size": 128,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [32, 64, 96, 128],
    "layers_per_block": 2,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"],
    "norm_num_groups": 16,
    "num_class_embeds": 3,
}
MICROSCOPE = BRAIN | {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [32, 64, 96, 112],
    "attention_head_dim": 16,
}
CHESTS = {
    "sample_size": 28,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [16, 32, 64],
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
    "norm_num_groups": 8,
    "num_class_embeds": 3,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "brain-mri": BRAIN,
    "blood-cells": MICROSCOPE | {"sample_size": 64, "num_class_embeds": 9},
    "lung-histology": MICROSCOPE | {"num_class_embeds": 4},
    "chest-xray": CHESTS,
}
PURIFY_TIMES = (20, 160)
ATTACK_EPS, ATTACK_STEPS = (0, 4, 8, 8), 5  # ε in 1/255: unattacked in a quarter of the batches
ANSWER_WEIGHT = 0.2
VAL_TIMES = (10, 40, 100, 400)
MEASURED = 256  # val scans of a collection at most


def main() -> None:
    parser = recipe_options(
        __doc__, steps=12000, batch=32, lr=2e-4, schedule="constant", warm_up=200, weight_decay=0.01
    )
    part_option(parser)
    parser.add_argument(
        "--attack",
        type=Path,
        metavar="CLASSIFIER",
        help="half of each batch is attacked on it, for a robust purifier",
    )
    parser.add_argument("--small-t", type=float, default=0.5, metavar="SHARE", help="share of all t drawn below 250")
    parser.add_argument("--bundle", choices=sorted(CONFIGS), default=BRAIN_MRI["name"], help="the task")
    options = parser.parse_args()
    train, val = load_splits(options, options.bundle)
    diffusion = new_diffusion(options.bundle, options.seed)
    run = Run(f"{short_name(options.bundle)}-unet", quickened(diffusion.unet), options, fit=fitting)
    run.train(objective(train, diffusion, options))
    diffusion.unet = run.averaged()
    errors = {name: validate(diffusion, part.pixels) for name, part in by_collection(val, MEASURED).items()}
    run.finish("unet", {"val_noise_mse, no class given, by t": errors})
    form = {"unconditional": diffusion.unconditional, "config": CONFIGS[options.bundle]}
    write_form(options.out / "unet.safetensors", form)


def new_diffusion(bundle: str, seed: int = 0) -> Diffusion:
    """Return an untrained diffusion model of a task; the class after the last one is 'no class given'."""
    none = len(TASKS[bundle]["classes"])
    return seeded(lambda: Diffusion(CONFIGS[bundle], none), f"{short_name(bundle)}-unet {seed}")


def trained_diffusion(weights: Path, bundle: str) -> Diffusion:
    """Return the diffusion model of a weights file of this recipe, ready to purify."""
    diffusion = new_diffusion(bundle)
    diffusion.unet.load_state_dict(named_as(diffusion.unet, load_file(weights)))
    diffusion.unet.to(compute.device(), compute.fast_dtype()).to(memory_format=torch.channels_last)
    return diffusion.eval().requires_grad_(False)


def objective(train: Dataset, diffusion: Diffusion, options: argparse.Namespace) -> Loss:
    """Return what a step minimises: the mean squared error of the predicted noise.

    With --attack every second scan is what a purifier meets: at its t, no class given, and mostly attacked, with the
    noise that leads back to the scan before. There the classifier's answer on the estimate counts, too: against
    the one that it gives to the scan itself, so that nothing is invented that it doesn't see there.
    """
    place, augment, none = compute.device(), FAITHFUL[options.bundle], diffusion.unconditional
    pixels, labels, drawn = train.pixels, train.labels, batches(train, options, PRIOR_WEIGHTS)
    classifier = attacked_classifier(options) if options.attack else None

    def loss(network: nn.Module, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        chosen = drawn(step, generator)
        images = augment(pixels[chosen].to(place), generator)
        t = drawn_times(len(images), generator, options.small_t).to(place)
        dropped = (torch.rand(len(images), generator=generator) < CLASS_DROPPED).to(place)
        given = torch.where(dropped, none, labels[chosen].to(place))
        noise = torch.randn(images.shape, generator=generator).to(place)
        seen = images
        if classifier is not None:
            t[1::2] = torch.randint(*PURIFY_TIMES, t[1::2].shape, generator=generator).to(place)
            given[1::2] = none
            if eps := drawn_value(ATTACK_EPS, generator):
                attack = AttackSettings("pgd", eps=eps, steps=ATTACK_STEPS)
                with compute.fast_autocast():
                    seen = some_attacked(classifier, images, labels[chosen].to(place), attack, generator)
        noisy = diffusion.diffuse(seen, t, noise).contiguous(memory_format=torch.channels_last)
        wanted = diffusion.noise_between(noisy, t, images)
        for share, some in parts(len(images), options):
            with compute.fast_autocast():
                guess = network(noisy[some], t[some], class_labels=given[some]).sample.float()
            error = functional.mse_loss(guess, wanted[some])
            if classifier is not None:
                estimate = diffusion.estimate(noisy[some], t[some], guess)[1::2]
                error = error + ANSWER_WEIGHT * answer_changed(classifier, estimate, images[some][1::2])
            yield share, error

    return loss


def attacked_classifier(options: argparse.Namespace) -> nn.Module:
    """Return the classifier of --attack, which learns nothing itself."""
    task = TASKS[options.bundle]
    return trained_classifier(options.attack, task["input"]["channels"], len(task["classes"]))


def answer_changed(classifier: nn.Module, estimates: Tensor, scans: Tensor) -> Tensor:
    """Return () the cross-entropy of the answers on estimates against those on the (B, C, H, W) scans themselves."""
    with compute.fast_autocast():
        with torch.no_grad():
            before = classifier(scans).float().softmax(1)
        after = classifier(estimates).float()
    return functional.cross_entropy(after, before)


@torch.no_grad()
def validate(diffusion: Diffusion, pixels: Tensor) -> dict[str, float]:
    """Return the mean squared error of the predicted noise at some t, noise seeded, and how many scans it is of."""
    errors: dict[str, float] = {"n": len(pixels)}
    for t in VAL_TIMES:
        generator = torch.Generator().manual_seed(t)
        total = 0.0
        for images in pixels.split(16):
            images = images.to(compute.device())
            noise = torch.randn(images.shape, generator=generator).to(images.device)
            at = torch.full((len(images),), t, device=images.device)
            with compute.fast_autocast():
                guess = diffusion.predict_noise(diffusion.diffuse(images, at, noise), at)
            total += functional.mse_loss(guess, noise).item() * len(images)
        errors[str(t)] = round(total / len(pixels), 6)
    return errors


if __name__ == "__main__":
    main()
