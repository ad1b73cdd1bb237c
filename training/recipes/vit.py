"""Train the ViT whose class token is sent away encrypted, with its linear and its polynomial head at once.

    python -m training.recipes.vit --data br35h.npz tcga-lgg.npz cheng.npz --out build/vit --whole --lr 1.5e-4 \\
        --init weights/brain-mri/mae.safetensors --teacher weights/brain-mri/resnet18.safetensors --steps 850
    python -m training.recipes.vit --data lc25000.zip --bundle lung-histology --out build/lung-vit --steps 2800 \\
        --init weights/brain-mri/mae.safetensors --teacher build/lung-resnet18/resnet18.safetensors
    python -m training.recipes.vit --data br35h.npz --out build/heads --init FILE --frozen --steps 200

Both heads learn on the same token: the polynomial is part of what is trained, and is not put in afterwards. Patches
have 16 pixels where the autoencoder's have 8: a quarter of the tokens and of the time, and fewer tokens than a token
has numbers, without which gradient inversion can't solve for the patches. Unless `--whole`, half of the patches are
hidden at random in each step, as for a masked autoencoder (He et al. 2022). That halves the time and does for tissue,
which is alike all over; a small tumour may lie in what is hidden.

`--init` takes the masked autoencoder of any bundle, or a ViT of this recipe, of another patch size or number of
colours too; a high learning rate makes it forget what it knew. With `--teacher` both heads learn what a trained ResNet
answers to the same pictures, mixed in pairs so that it has more to say than their labels (Touvron et al. 2021, section
4; Beyer et al. 2022). With `--frozen` the heads alone learn, on the token as it is.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.evaluation.datasets import Dataset
from core.models.mae import complementary_masks, visible_patches
from core.models.vit import HEADS, TokenViT
from core.statistics import bootstrap_interval
from training.options import recipe_options
from training.recipes.augmentation import AUGMENTATIONS
from training.recipes.cards import recipe_card, started_from, trained_classifier, write_form
from training.recipes.data import batches, load_splits
from training.recipes.run import Loss, Run
from training.recipes.weights import seeded
from training.tasks import BRAIN_MRI, TASKS, short_name

CONFIG = {"width": 256, "depth": 8, "heads": 8, "hidden": 64}  # width, blocks and heads of the masked autoencoder
SMOOTHING = 0.05  # of the labels: it also keeps logits small, which an encrypted answer has few bits for


def main() -> None:
    options = parsed()
    train, val = load_splits(options, options.bundle)
    task = TASKS[options.bundle]
    config = {"size": task["input"]["resolution"], "patch": options.patch} | CONFIG
    sizes = task["input"]["channels"], len(task["classes"])
    network = seeded(lambda: TokenViT(*sizes, **config), f"vit {options.seed}")
    if options.frozen:
        freeze_token(network)
    run = Run(f"{short_name(options.bundle)}-vit", network, options, fitted)
    teacher = trained_classifier(options.teacher, *sizes) if options.teacher else None
    run.train(objective(train, options, teacher), lambda network: shares(network, val))
    taught = {"taught_by": recipe_card(options.teacher) | {"weights": started_from(options.teacher)}} if teacher else {}
    run.finish("vit", figures(run.averaged(), val) | taught)
    write_form(options.out / "vit.safetensors", {"architecture": "vit", "config": config})


def parsed() -> argparse.Namespace:
    parser = recipe_options(__doc__, steps=1500, batch=64, lr=5e-4, decay=0.995)
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BRAIN_MRI["name"], help="the task")
    parser.add_argument("--patch", type=int, default=16, help="side of a patch in pixels")
    parser.add_argument("--teacher", type=Path, help="safetensors of a trained classifier to learn from")
    parser.add_argument("--whole", action="store_true", help="hide no patches; so it is with --frozen")
    parser.add_argument("--frozen", action="store_true", help="train the heads alone")
    return parser.parse_args()


def freeze_token(network: TokenViT) -> None:
    """Leave the heads alone to be trained."""
    network.requires_grad_(False)
    for kind in HEADS:
        network.head(kind).requires_grad_(True)


def objective(train: Dataset, options: argparse.Namespace, teacher: nn.Module | None) -> Loss:
    """Return what a step minimises, on a batch of its own."""
    place, augment, drawn = compute.device(), AUGMENTATIONS[options.bundle], batches(train, options)
    whole = options.whole or options.frozen

    def loss(network: TokenViT, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        chosen = drawn(step, generator)
        images, targets = augment(train.pixels[chosen].to(place), generator), train.labels[chosen].to(place)
        with compute.fast_autocast():
            if teacher:
                images = mixed(images, generator)
                targets = answers(teacher, images)
            kept = None if whole else some_patches(network, len(images), generator)
            wrong = both_losses(network, network.token(images, kept), targets)
        yield 1.0, wrong

    return loss


def both_losses(network: TokenViT, token: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of the linear head plus that of the polynomial head, on the same (B, 768) tokens.

    Targets are (B,) labels, which are smoothed, or the (B, classes) probabilities of a teacher.
    """
    smoothing = 0.0 if targets.is_floating_point() else SMOOTHING
    return sum(
        functional.cross_entropy(network.head(kind)(token).float(), targets, label_smoothing=smoothing)
        for kind in HEADS
    )


def mixed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return (B, C, H, W) pictures, each blended with its neighbour in the batch, by a share of at most a half."""
    share = torch.rand((len(images), 1, 1, 1), generator=generator).to(images.device) / 2
    return torch.lerp(images, images.roll(1, 0), share)


@torch.no_grad()
def answers(teacher: nn.Module, images: Tensor) -> Tensor:
    """Return (B, classes) probabilities."""
    return teacher(images.contiguous(memory_format=torch.channels_last)).float().softmax(1)


def some_patches(network: TokenViT, count: int, generator: torch.Generator) -> Tensor:
    """Return (count, patches / 2) indices of the patches that each image keeps."""
    masks = torch.stack([complementary_masks(network.patch_count, 2, generator)[0] for _ in range(count)])
    return visible_patches(masks).to(network.cls_token.device)


def fitted(network: TokenViT, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what `network` can take from a masked autoencoder or from a ViT of this recipe; the rest stays as it is.

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
    """Return (D, C, p, p) as (D, C', p', p') of `shape`, with the same answer to a flat grey picture."""
    if weight.shape[1] != shape[1]:
        weight = weight.sum(1, keepdim=True).expand(-1, shape[1], -1, -1) / shape[1]
    if weight.shape[2:] == shape[2:]:
        return weight
    resampled = functional.interpolate(weight, shape[2:], mode="bilinear", antialias=True)
    return resampled * (weight.shape[2] / shape[2]) ** 2


def resampled_positions(positions: Tensor, count: int) -> Tensor:
    """Return (1, 1 + n, D) as (1, 1 + count, D), both of them square grids in row order after the class token."""
    first, grid = positions[:, :1], positions[:, 1:]
    old, new = round(grid.shape[1] ** 0.5), round(count**0.5)
    if old == new:
        return positions
    grid = grid.transpose(1, 2).unflatten(2, (old, old))
    grid = functional.interpolate(grid, (new, new), mode="bilinear", antialias=True)
    return torch.cat([first, grid.flatten(2).transpose(1, 2)], dim=1)


@torch.no_grad()
def tokens(network: TokenViT, pixels: Tensor) -> Tensor:
    """Return the (N, 768) tokens of (N, C, H, W) pixels."""
    return torch.cat([network.token(batch.to(network.cls_token.device)).float() for batch in pixels.split(64)])


@torch.no_grad()
def right(network: TokenViT, kind: str, token: Tensor, labels: Tensor) -> list[bool]:
    """Return whether a head finds the class of each token."""
    return (network.head(kind)(token).argmax(1).cpu() == labels).tolist()


def shares(network: TokenViT, val: Dataset) -> str:
    """Return how often each head is right, in a few words."""
    with compute.fast_autocast():
        token = tokens(network, val.pixels)
        hits = {kind: right(network, kind, token, val.labels) for kind in HEADS}
    return "  ".join(f"{kind} {sum(hit) / len(hit):.4f}" for kind, hit in hits.items())


@torch.no_grad()
def figures(network: TokenViT, val: Dataset) -> dict:
    """Return the accuracy of both heads, with intervals over groups, and what ranges encrypted numbers must hold."""
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
