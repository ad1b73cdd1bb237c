"""Train the masked diffusion transformer of MaskDiT-Pure.

    python -m training.recipes.mask_dit --data br35h.npz tcga-lgg.npz cheng.npz --out build/mask-dit \\
        --init weights/brain-mri/mae.safetensors

Half of the patches are hidden (Zheng et al. 2024; MAE-Pure, appendix L). Where a patch is visible the noise is to be
told, where it is hidden the picture without it. --init takes a masked autoencoder, whose every weight it begins with as
far as it has such a layer, or a network of this recipe.

One network of this size is 16 MB as fp16, as the autoencoder is. All of the family shall fit in 25 MB, so that the
decoder has two blocks and all blocks share one projection of t; see `training.recipes.robust_mae` for the others.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from core import compute
from core.evaluation.datasets import Dataset
from core.models.mae import patchify, visible_patches
from core.models.mask_dit import Denoising, MaskDiT
from core.models.objectives import drawn_masks, drawn_times, patch_error, reconstruction_error
from training.options import part_option, recipe_options
from training.recipes import mae
from training.recipes.augmentation import FAITHFUL
from training.recipes.cards import write_form
from training.recipes.data import batches, by_collection, load_splits
from training.recipes.mae import MEASURED
from training.recipes.run import Loss, Run, parts
from training.recipes.unet import VAL_TIMES
from training.recipes.weights import named_as, seeded
from training.tasks import BRAIN_MRI, PRIOR_WEIGHTS, TASKS, short_name

CONFIGS: dict[str, dict[str, Any]] = {name: config | {"decoder_depth": 2} for name, config in mae.CONFIGS.items()}
PARTS = 2  # hide a half, as the purifier does


def main() -> None:
    parser = recipe_options(__doc__, steps=3000, batch=32, part=16, lr=3e-4, weight_decay=0.01)
    part_option(parser)
    parser.add_argument("--bundle", choices=sorted(CONFIGS), default=BRAIN_MRI["name"], help="the task")
    options = parser.parse_args()
    train, val = load_splits(options, options.bundle)
    run = Run(run_name(options), new_mask_dit(options.bundle, options.seed), options, with_autoencoder)
    run.train(objective(train, options))
    trained = run.averaged()
    errors = {name: validate(trained, part.pixels) for name, part in by_collection(val, MEASURED).items()}
    run.finish("mask_dit", {"val, half hidden, by t": errors})
    write_form(options.out / "mask_dit.safetensors", {"config": CONFIGS[options.bundle]})


def run_name(options: argparse.Namespace) -> str:
    """Return what the run's random numbers hang on."""
    return f"{short_name(options.bundle)}-mask-dit"


def new_mask_dit(bundle: str, seed: int = 0) -> MaskDiT:
    """Return an untrained network of a task."""
    size = TASKS[bundle]["input"]
    return seeded(lambda: MaskDiT(**size, **CONFIGS[bundle]), f"{short_name(bundle)}-mask-dit {seed}")


def with_autoencoder(network: MaskDiT, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return what `network` can load: its own weights as they are, or an autoencoder's over those it begins with."""
    own = network.state_dict()
    if set(weights) == set(own):
        return named_as(network, weights)
    taken = {f"mae.{key}": value.float() for key, value in weights.items()}
    return own | {key: value for key, value in taken.items() if key in own}


def objective(train: Dataset, options: argparse.Namespace) -> Loss:
    """Return what a step minimises: the noise's error where patches are visible, the picture's where they are hidden.

    The picture is that without noise. MaskDiT asks for the noisy one, of which nobody can tell more than that.
    """
    place, augment, drawn = compute.device(), FAITHFUL[options.bundle], batches(train, options, PRIOR_WEIGHTS)

    def loss(network: MaskDiT, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        images = augment(train.pixels[drawn(step, generator)].to(place), generator)
        t = drawn_times(len(images), generator).to(place)
        noise = torch.randn(images.shape, generator=generator).to(place)
        masks = drawn_masks(len(images), network.patch_count, PARTS, generator).to(place)
        for share, some in parts(len(images), options):
            made = denoised(network, images[some], t[some], noise[some], masks[some])
            error, log_variance = patch_error(made.picture, images[some], network.patch)
            score = noise_error(made, noise[some], masks[some], network.patch)
            yield share, score + reconstruction_error(error, log_variance, masks[some])

    return loss


def denoised(network: MaskDiT, images: Tensor, t: Tensor, noise: Tensor, masks: Tensor) -> Denoising:
    """Return what the network makes of (B, C, H, W) images in [0, 1], noised to t (B,), under (B, N) masks."""
    with compute.fast_autocast():
        return network.denoise(network.diffuse(images, t, noise), t, visible_patches(masks))


def noise_error(made: Denoising, noise: Tensor, masks: Tensor, patch: int) -> Tensor:
    """Return () the mean squared error of the (B, C, H, W) noise where patches are visible."""
    return (made.noise.float() - patchify(noise, patch)).square().mean(-1)[~masks].mean()


@torch.no_grad()
def validate(network: MaskDiT, pixels: Tensor) -> dict[str, Any]:
    """Return the mean squared errors of the noise and of the hidden picture at some t, numbers seeded."""
    figures: dict[str, Any] = {"n": len(pixels)}
    for t in VAL_TIMES:
        generator, scores, errors = torch.Generator().manual_seed(t), [], []
        for images in pixels.split(16):
            images = images.to(compute.device())
            noise = torch.randn(images.shape, generator=generator).to(images.device)
            masks = drawn_masks(len(images), network.patch_count, PARTS, generator).to(images.device)
            made = denoised(network, images, torch.full((len(images),), t, device=images.device), noise, masks)
            scores.append(noise_error(made, noise, masks, network.patch).repeat(len(images)))
            errors.append(patch_error(made.picture, images, network.patch)[0][masks])
        means = {"noise_mse": torch.cat(scores).mean(), "hidden_mse": torch.cat(errors).mean()}
        figures[str(t)] = {name: round(value.item(), 6) for name, value in means.items()}
    return figures


if __name__ == "__main__":
    main()
