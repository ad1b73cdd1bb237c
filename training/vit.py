"""Train the ViT whose class token is sent away encrypted, with its linear and its polynomial head at once.

    python -m training.vit --data br35h.npz --out build/vit --init weights/brain-mri/mae.safetensors
    python -m training.vit --data lc25000.zip --bundle lung-histology --out build/lung-vit --init FILE --steps 6000
    python -m training.vit --data br35h.npz --out build/heads --init FILE --frozen --steps 200

Both heads learn on the same token: the polynomial is part of what is trained, and is not put in afterwards. Half of the
patches are hidden at random in each step, as for a masked autoencoder (He et al. 2022): it halves the time, and keeps
the network from leaning on few of them. `--init` takes the masked autoencoder of any bundle, or a ViT of this recipe,
of another patch size or number of colours too. With `--frozen` the heads alone learn, on the token as it is.
"""

import argparse
import json

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.audit.datasets import Dataset
from core.audit.statistics import bootstrap_interval
from core.models.mae import complementary_masks, visible_patches
from core.models.vit import HEADS, TokenViT
from training.assemble import BUNDLE, TASKS
from training.common import AUGMENTATIONS, Run, arguments, load_splits, random_batches, seeded

CONFIG = {"width": 256, "depth": 8, "heads": 8, "hidden": 64}  # width, blocks and heads of the masked autoencoder
SMOOTHING = 0.05  # of the labels: it also keeps logits small, which an encrypted answer has few bits for


def main() -> None:
    options = parsed()
    train, val = load_splits(options.data, options.bundle)
    pixels, labels = train.pixels.to(compute.device()), train.labels.to(compute.device())
    task, augment = TASKS[options.bundle], AUGMENTATIONS[options.bundle]
    config = {"size": task["input"]["resolution"], "patch": options.patch} | CONFIG
    sizes = task["input"]["channels"], len(task["classes"])
    network = seeded(lambda: TokenViT(*sizes, **config), f"vit {options.seed}")
    if options.frozen:
        network.requires_grad_(False)
        for kind in HEADS:
            network.head(kind).requires_grad_(True)
    run = Run(network, options, options.decay, fitted)
    drawn = random_batches(len(pixels), options.batch, run.generator)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = next(drawn)
        images = augment(pixels[chosen], generator)
        token = network.token(images, None if options.whole else some_patches(network, len(images), generator))
        return both_losses(network, token, labels[chosen])

    def watch(network: nn.Module) -> str:
        with torch.autocast(compute.device().type, torch.bfloat16, compute.fast_dtype() == torch.bfloat16):
            hits = {kind: right(network, kind, tokens(network, val.pixels), val.labels) for kind in HEADS}
        return "  ".join(f"{kind} {sum(hit) / len(hit):.4f}" for kind, hit in hits.items())

    run.train(loss, watch)
    run.finish("vit", figures(run.averaged(), val))
    form = {"architecture": "vit", "config": config}
    (options.out / "vit.form.json").write_text(json.dumps(form, indent=1) + "\n", encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__, steps=1500, batch=64, lr=5e-4)
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BUNDLE["name"], help="the task")
    parser.add_argument("--patch", type=int, default=16, help="side of a patch in pixels")
    parser.add_argument("--whole", action="store_true", help="hide no patches")
    parser.add_argument("--frozen", action="store_true", help="train the heads alone")
    parser.add_argument("--decay", type=float, default=0.995, help="what a step keeps of the averaged weights")
    return parser.parse_args()


def both_losses(network: TokenViT, token: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of the linear head plus that of the polynomial head, on the same (B, 768) tokens."""
    return sum(
        functional.cross_entropy(network.head(kind)(token).float(), labels, label_smoothing=SMOOTHING) for kind in HEADS
    )


def some_patches(network: TokenViT, count: int, generator: torch.Generator) -> Tensor:
    """(count, patches / 2) indices of the patches that each image keeps."""
    masks = torch.stack([complementary_masks(network.patch_count, 2, generator)[0] for _ in range(count)])
    return visible_patches(masks).to(network.cls_token.device)


def fitted(network: TokenViT, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `network` can take from a masked autoencoder or from a ViT of this recipe; the rest stays as it is.

    A patch embedding made for other patches is resampled so that a flat picture gives the same token, and shared out
    among the colours so that a grey one does; positions are resampled on their grid.
    """
    own = network.state_dict()
    if "patch_embed.proj.weight" not in weights or "pos_embed" not in weights:
        raise ValueError("The file of --init holds no vision transformer; take a masked autoencoder or a ViT.")
    given = {key: value.float() for key, value in weights.items() if key in own}
    given["patch_embed.proj.weight"] = resampled_patch(
        given["patch_embed.proj.weight"], own["patch_embed.proj.weight"].shape
    )
    given["pos_embed"] = resampled_positions(given["pos_embed"], own["pos_embed"].shape[1] - 1)
    return own | {key: value for key, value in given.items() if value.shape == own[key].shape}


def resampled_patch(weight: Tensor, shape: torch.Size) -> Tensor:
    """(D, C, p, p) → (D, C', p', p') of `shape`, with the same answer to a flat grey picture."""
    if weight.shape[1] != shape[1]:
        weight = weight.sum(1, keepdim=True).expand(-1, shape[1], -1, -1) / shape[1]
    if weight.shape[2:] == shape[2:]:
        return weight
    resampled = functional.interpolate(weight, shape[2:], mode="bilinear", antialias=True)
    return resampled * (weight.shape[2] / shape[2]) ** 2


def resampled_positions(positions: Tensor, count: int) -> Tensor:
    """(1, 1 + n, D) → (1, 1 + count, D), both of them square grids in row order after the class token."""
    first, grid = positions[:, :1], positions[:, 1:]
    old, new = round(grid.shape[1] ** 0.5), round(count**0.5)
    if old == new:
        return positions
    grid = grid.transpose(1, 2).unflatten(2, (old, old))
    grid = functional.interpolate(grid, (new, new), mode="bilinear", antialias=True)
    return torch.cat([first, grid.flatten(2).transpose(1, 2)], dim=1)


@torch.no_grad()
def tokens(network: TokenViT, pixels: Tensor) -> Tensor:
    """(N, 768) tokens of (N, C, H, W) pixels."""
    return torch.cat([network.token(batch.to(network.cls_token.device)).float() for batch in pixels.split(64)])


@torch.no_grad()
def right(network: TokenViT, kind: str, token: Tensor, labels: Tensor) -> list[bool]:
    """Whether a head finds the class of each token."""
    return (network.head(kind)(token).argmax(1).cpu() == labels).tolist()


@torch.no_grad()
def figures(network: TokenViT, val: Dataset) -> dict:
    """Accuracy of both heads with its interval over groups, and the ranges that encrypted numbers must hold."""
    token = tokens(network, val.pixels)
    hits = {kind: right(network, kind, token, val.labels) for kind in HEADS}
    accuracies = {
        kind: {"accuracy": sum(hit) / len(hit), "interval": bootstrap_interval(hit, val.groups), "n": len(hit)}
        for kind, hit in hits.items()
    }
    ranges = {"token": token, "hidden": network.polynomial.hidden(token)}
    ranges |= {f"{kind} logits": network.head(kind)(token) for kind in HEADS}
    return {"val": accuracies, "largest": {name: value.abs().max().item() for name, value in ranges.items()}}


if __name__ == "__main__":
    main()
