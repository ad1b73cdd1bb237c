"""Train the half-width ResNet-18 on plain and, with --purify, on purified scans.

    python -m training.classifier --data br35h.npz --out build/plain
    python -m training.classifier --data br35h.npz --out build/resnet18 --init build/plain/resnet18.safetensors \\
        --purify brain-mri --steps 1200 --lr 5e-4
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.bundles import load_bundle
from core.models.diffusion import Diffusion
from core.models.resnet import NarrowResNet18
from core.purification.ddim import denoise_once
from training.assemble import BUNDLE
from training.common import Run, arguments, augmented, load_splits, random_batches

PURIFY_TIMES = (20, 160)


def main() -> None:
    parser = arguments(__doc__, steps=3000, batch=64, lr=1e-3)
    parser.add_argument("--purify", metavar="BUNDLE", help="half of each batch goes through this bundle's purifier")
    options = parser.parse_args()
    train, val = load_splits(options.data)
    place = compute.device()
    pixels, labels = train.pixels.to(place), train.labels.to(place)
    if options.purify:
        diffusion = load_bundle(options.purify).diffusion
        generator = torch.Generator().manual_seed(options.seed)
        copies = torch.cat([purified_copy(batch, diffusion, generator) for batch in pixels.split(4)])
        pixels, labels = torch.cat([pixels, copies]), labels.repeat(2)
    run = Run(NarrowResNet18(BUNDLE["input"]["channels"], len(BUNDLE["classes"])), options)
    drawn = random_batches(len(pixels), options.batch, run.generator)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = next(drawn)
        logits = network(augmented(pixels[chosen], generator).contiguous(memory_format=torch.channels_last))
        return functional.cross_entropy(logits.float(), labels[chosen], label_smoothing=0.05)

    run.train(loss)
    run.finish(
        "resnet18",
        {"val_accuracy": accuracy(run.averaged(), val.pixels.to(place), val.labels.to(place)), "n": len(val)},
    )


@torch.no_grad()
def purified_copy(pixels: Tensor, diffusion: Diffusion, generator: torch.Generator) -> Tensor:
    """(B, C, H, W) scans, lightly noised and denoised in one step at random t: what a purifier hands the classifier."""
    t = torch.randint(*PURIFY_TIMES, (len(pixels),), generator=generator).to(pixels.device)
    jitter = torch.rand((len(pixels), 1, 1, 1), generator=generator) * 8 / 255
    signs = torch.randn(pixels.shape, generator=generator).sign() * jitter
    noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
    return denoise_once((pixels + signs.to(pixels.device)).clamp(0, 1), t, diffusion, noise)


@torch.no_grad()
def accuracy(network: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """Share of images whose class is found."""
    hits = [(network(x).argmax(1) == y).sum() for x, y in zip(pixels.split(64), labels.split(64))]
    return (sum(hits) / len(labels)).item()


if __name__ == "__main__":
    main()
