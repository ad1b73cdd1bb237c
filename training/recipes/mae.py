"""Train the masked autoencoder.

python -m training.recipes.mae --data br35h.npz --out build/mae                     one GPU, about 10 minutes
python -m training.recipes.mae --data br35h.npz --out build/mae --steps 600 --batch 32 --init FILE     two cores
"""

import torch
from torch import Tensor

from core import compute
from core.models.mae import MaskedAutoencoder, complementary_masks, patchify, visible_patches
from training.options import recipe_options
from training.recipes.augmentation import augmented
from training.recipes.data import load_splits, random_batches
from training.recipes.run import Run
from training.tasks import BRAIN_MRI

CONFIG = {
    "patch": 8,
    "width": 256,
    "depth": 8,
    "heads": 8,
    "decoder_width": 192,
    "decoder_depth": 4,
    "decoder_heads": 6,
}
PARTS = (2, 4)  # hide a half or a quarter, as the detector hides a quarter


def main() -> None:
    options = recipe_options(__doc__, steps=15000, batch=384, lr=1e-3).parse_args()
    train, val = load_splits(options.data)
    place = compute.device()
    pixels = train.pixels.to(place)
    run = Run(MaskedAutoencoder(channels=BRAIN_MRI["input"]["channels"], **CONFIG), options)
    drawn = random_batches(len(pixels), options.batch, run.generator)

    def loss(network: MaskedAutoencoder, generator: torch.Generator) -> Tensor:
        images = augmented(pixels[next(drawn)], generator)
        parts = PARTS[int(torch.randint(len(PARTS), (1,), generator=generator))]
        error, log_variance, hidden = masked_error(network, images, parts, generator)
        likelihood = 0.5 * (error.detach() * (-log_variance).exp() + log_variance)
        return (error[hidden].mean() * 10) + 0.01 * likelihood[hidden].mean()

    run.train(loss)
    run.finish("mae", {"val_masked_mse": validate(run.averaged(), val.pixels.to(place)), "n": len(val)})


def masked_error(
    network: MaskedAutoencoder, images: Tensor, parts: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the squared error per patch, its predicted log variance, and which patches were hidden, all (B, N)."""
    masks = torch.stack([complementary_masks(network.patch_count, parts, generator)[0] for _ in images]).to(
        images.device
    )
    visible = visible_patches(masks)
    guess = network.decode(network.encode(images, visible), visible)
    error = (guess.pixels.float() - patchify(images, network.patch)).square().mean(-1)
    return error, guess.log_variance.float().clamp(-12, 4), masks


@torch.no_grad()
def validate(network: MaskedAutoencoder, pixels: Tensor) -> float:
    """Return the mean squared error of hidden patches, a quarter hidden at a time, masks seeded."""
    generator = torch.Generator().manual_seed(0)
    errors = []
    for images in pixels.split(16):
        error, _, hidden = masked_error(network, images, 4, generator)
        errors.append(error[hidden])
    return torch.cat(errors).mean().item()


if __name__ == "__main__":
    main()
