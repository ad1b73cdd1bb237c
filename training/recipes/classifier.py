"""Train one classifier, the half-width ResNet-18 or MedMamba, on plain and, with --purify, on purified scans.

    python -m training.recipes.classifier --data br35h.npz --out build/plain
    python -m training.recipes.classifier --data pbc.zip --out build/cells --bundle blood-cells --architecture medmamba
    python -m training.recipes.classifier --data br35h.npz --out build/resnet18 --purify brain-mri \\
        --init build/plain/resnet18.safetensors --steps 1200 --lr 5e-4
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.bundles import load_bundle
from core.models.diffusion import Diffusion, denoise_once
from core.models.mamba import MedMamba
from core.models.resnet import NarrowResNet18
from training.options import recipe_options
from training.recipes.augmentation import AUGMENTATIONS
from training.recipes.cards import write_form
from training.recipes.data import load_splits, random_batches
from training.recipes.run import EMA_DECAY, Run
from training.recipes.weights import seeded
from training.tasks import BRAIN_MRI, TASKS

PURIFY_TIMES = (20, 160)


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
    parser = recipe_options(__doc__, steps=3000, batch=64, lr=1e-3)
    parser.add_argument("--purify", metavar="BUNDLE", help="half of each batch goes through this bundle's purifier")
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BRAIN_MRI["name"], help="the task")
    parser.add_argument("--architecture", choices=sorted(DESIGNS), default="half-resnet18")
    parser.add_argument(
        "--decay", type=float, default=EMA_DECAY, help="what a step keeps of the averaged weights; less in a short run"
    )
    options = parser.parse_args()
    train, val = load_splits(options.data, options.bundle)
    place = compute.device()
    pixels, labels = train.pixels.to(place), train.labels.to(place)
    if options.purify:
        diffusion = load_bundle(options.purify).diffusion
        generator = torch.Generator().manual_seed(options.seed)
        copies = torch.cat([purified_copy(batch, diffusion, generator) for batch in pixels.split(4)])
        pixels, labels = torch.cat([pixels, copies]), labels.repeat(2)
    task, design, augment = TASKS[options.bundle], DESIGNS[options.architecture], AUGMENTATIONS[options.bundle]
    sizes = task["input"]["channels"], len(task["classes"])
    network = seeded(lambda: design.build(*sizes, **design.config), f"{options.architecture} {options.seed}")
    run = Run(network, options, options.decay)
    drawn = random_batches(len(pixels), options.batch, run.generator)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = next(drawn)
        logits = network(augment(pixels[chosen], generator).contiguous(memory_format=torch.channels_last))
        return functional.cross_entropy(logits.float(), labels[chosen], label_smoothing=0.05)

    run.train(loss)
    run.finish(
        design.name,
        {"val_accuracy": accuracy(run.averaged(), val.pixels.to(place), val.labels.to(place)), "n": len(val)},
    )
    form = {"architecture": options.architecture} | ({"config": design.config} if design.config else {})
    write_form(options.out / f"{design.name}.safetensors", form)


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
