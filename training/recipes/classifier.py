"""Train one classifier, the half-width ResNet-18 or MedMamba, on plain and, with --purify, on purified scans.

    python -m training.recipes.classifier --data br35h.npz tcga-lgg.npz cheng.npz --out build/resnet18
    python -m training.recipes.classifier --data br35h.npz tcga-lgg.npz cheng.npz --out build/purified \\
        --init build/resnet18/resnet18.safetensors --purify build/unet/unet.safetensors --steps 1200 --lr 5e-4
    python -m training.recipes.classifier --data br35h.npz tcga-lgg.npz cheng.npz --out build/robust \\
        --init build/resnet18/resnet18.safetensors --attack 4 --steps 1500 --lr 5e-4
    python -m training.recipes.classifier --data pbc.zip --out build/cells --bundle blood-cells --architecture medmamba
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.attacks import AttackSettings
from core.bundles import load_bundle
from core.evaluation.datasets import Dataset
from core.models.diffusion import Diffusion, denoise_once
from core.models.mamba import MedMamba
from core.models.resnet import NarrowResNet18
from training.options import part_option, recipe_options
from training.recipes.augmentation import AUGMENTATIONS
from training.recipes.cards import write_form
from training.recipes.data import batches, load_splits
from training.recipes.dwf_lessons import some_attacked
from training.recipes.run import Loss, Run, parts
from training.recipes.unet import trained_diffusion
from training.recipes.weights import seeded
from training.tasks import BRAIN_MRI, TASKS, short_name

PURIFY_TIMES = (20, 160)
ATTACK_STEPS = 5
SMOOTHING = 0.05


class Design(NamedTuple):
    """What `--architecture` builds: the class, its settings, and the name under which weights and card are written."""

    build: Callable[..., nn.Module]
    config: dict[str, Any]
    name: str


DESIGNS = {
    "half-resnet18": Design(NarrowResNet18, {}, "resnet18"),
    "medmamba": Design(MedMamba, {"width": 32, "depths": [1, 2, 2], "states": 4}, "mamba"),
}


def main() -> None:
    options = options_parser(__doc__).parse_args()
    train, val = load_splits(options, options.bundle)
    run, place = trained(train, options), compute.device()
    found = accuracy(run.averaged(), val.pixels.to(place), val.labels.to(place))
    finish(run, {"val_accuracy": found, "n": len(val)}, options)


def options_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of all recipes, and this one's own."""
    parser = recipe_options(description, steps=3000, batch=64, lr=1e-3, warm_up=100, weight_decay=0.02, decay=0.995)
    part_option(parser)
    parser.add_argument(
        "--purify", metavar="BUNDLE|FILE", help="half of each batch goes through this bundle's or file's U-Net"
    )
    parser.add_argument(
        "--attack",
        type=float,
        metavar="EPS",
        help="half of each batch is attacked, in 1/255; with --purify, it is purified afterwards",
    )
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BRAIN_MRI["name"], help="the task")
    parser.add_argument("--architecture", choices=sorted(DESIGNS), default="half-resnet18")
    parser.add_argument("--width", type=int, help="channels of the first stage, where not the architecture's own")
    return parser


def trained(train: Dataset, options: argparse.Namespace) -> Run:
    """Return the run of one classifier, as long as its options allow."""
    task, design = TASKS[options.bundle], DESIGNS[options.architecture]
    sizes = task["input"]["channels"], len(task["classes"])
    network = seeded(lambda: design.build(*sizes, **config(options)), f"{options.architecture} {options.seed}")
    run = Run(f"{short_name(options.bundle)}-classifier", network, options)
    run.train(objective(train, options))
    return run


def config(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the architecture that is asked for."""
    return DESIGNS[options.architecture].config | ({"width": options.width} if options.width else {})


def finish(run: Run, metrics: dict[str, Any], options: argparse.Namespace) -> Path:
    """Write weights, card and form; return the weights file."""
    name, own = DESIGNS[options.architecture].name, config(options)
    run.finish(name, metrics)
    weights = options.out / f"{name}.safetensors"
    write_form(weights, {"architecture": options.architecture} | ({"config": own} if own else {}))
    return weights


def objective(train: Dataset, options: argparse.Namespace) -> Loss:
    """Return what a step minimises: the cross-entropy with smoothed labels, with --purify on what the U-Net leaves."""
    place, augment = compute.device(), AUGMENTATIONS[options.bundle]
    pixels, labels, drawn = train.pixels, train.labels, batches(train, options)
    diffusion = purifier(options.purify, options.bundle) if options.purify else None
    attack = AttackSettings("pgd", eps=options.attack, steps=ATTACK_STEPS) if options.attack else None

    def loss(network: nn.Module, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        chosen = drawn(step, generator)
        images, targets = augment(pixels[chosen].to(place), generator), labels[chosen].to(place)
        if attack:
            with compute.fast_autocast():
                images = some_attacked(network, images, targets, attack, generator)
        if diffusion is not None:
            images = half_purified(images, diffusion, generator)
        images = images.contiguous(memory_format=torch.channels_last)
        for share, some in parts(len(images), options):
            with compute.fast_autocast():
                logits = network(images[some])
            yield share, functional.cross_entropy(logits.float(), targets[some], label_smoothing=SMOOTHING)

    return loss


def purifier(name: str, bundle: str) -> Diffusion:
    """Return the diffusion model of a bundle, or that of a weights file of the U-Net recipe for the task `bundle`."""
    if Path(name).suffix != ".safetensors":
        return load_bundle(name).diffusion
    return trained_diffusion(Path(name), bundle)


def half_purified(pixels: Tensor, diffusion: Diffusion, generator: torch.Generator) -> Tensor:
    """Return (B, C, H, W) scans, every second one as a purifier hands it on."""
    copies = [purified_copy(some, diffusion, generator) for some in pixels[1::2].split(compute.batch_size())]
    pixels = pixels.clone()
    pixels[1::2] = torch.cat(copies)
    return pixels


@torch.no_grad()
def purified_copy(pixels: Tensor, diffusion: Diffusion, generator: torch.Generator) -> Tensor:
    """Return (B, C, H, W) scans, lightly noised and denoised in one step at random t, as a purifier hands them on."""
    t = torch.randint(*PURIFY_TIMES, (len(pixels),), generator=generator).to(pixels.device)
    jitter = torch.rand((len(pixels), 1, 1, 1), generator=generator) * 8 / 255
    signs = torch.randn(pixels.shape, generator=generator).sign() * jitter
    noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
    return denoise_once((pixels + signs.to(pixels.device)).clamp(0, 1), t, diffusion, noise)


@torch.no_grad()
def accuracy(network: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """Return the share of images whose class is found."""
    hits = [(network(x).argmax(1) == y).sum() for x, y in zip(pixels.split(64), labels.split(64))]
    return (sum(hits) / len(labels)).item()


if __name__ == "__main__":
    main()
