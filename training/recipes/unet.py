"""Train the diffusion model that purifies and denoises.

python -m training.recipes.unet --data br35h.npz --out build/unet        one GPU; run again until its steps are done
"""

import json

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.models.diffusion import TRAIN_STEPS, Diffusion
from training.options import recipe_options
from training.recipes.augmentation import augmented
from training.recipes.data import load_splits, random_batches
from training.recipes.run import Run

CONFIG = {
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
NO_CLASS = 2
CLASS_DROPPED = 0.3
VAL_TIMES = (10, 40, 100, 400)


def main() -> None:
    options = recipe_options(__doc__, steps=16000, batch=128, lr=4e-4).parse_args()
    train, val = load_splits(options.data)
    place = compute.device()
    pixels, labels = train.pixels.to(place), train.labels.to(place)
    diffusion = Diffusion(CONFIG, NO_CLASS)
    run = Run(diffusion.unet, options)
    drawn = random_batches(len(pixels), options.batch, run.generator)

    def loss(network: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = next(drawn)
        images = augmented(pixels[chosen], generator)
        t = torch.randint(TRAIN_STEPS, (len(images),), generator=generator).to(place)
        dropped = (torch.rand(len(images), generator=generator) < CLASS_DROPPED).to(place)
        noise = torch.randn(images.shape, generator=generator).to(place)
        given = torch.where(dropped, NO_CLASS, labels[chosen])
        guess = network(diffusion.diffuse(images, t, noise), t, class_labels=given).sample
        return functional.mse_loss(guess.float(), noise)

    run.train(loss)
    diffusion.unet = run.averaged()
    run.finish("diffusion_pytorch_model", {"val_noise_mse": validate(diffusion, val.pixels.to(place)), "n": len(val)})
    (options.out / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n", encoding="utf-8")


@torch.no_grad()
def validate(diffusion: Diffusion, pixels: Tensor) -> dict[str, float]:
    """Return the mean squared error of the predicted noise at some t, noise seeded."""
    errors = {}
    for t in VAL_TIMES:
        generator = torch.Generator().manual_seed(t)
        total = 0.0
        for images in pixels.split(4):
            noise = torch.randn(images.shape, generator=generator).to(images.device)
            at = torch.full((len(images),), t, device=images.device)
            guess = diffusion.predict_noise(diffusion.diffuse(images, at, noise), at)
            total += functional.mse_loss(guess, noise).item() * len(images)
        errors[str(t)] = total / len(pixels)
    return errors


if __name__ == "__main__":
    main()
