"""Train the network that tells plane and sequence from a slice's pixels.

    python -m training.recipes.acquisition --data br35h.npz tcga-lgg.npz cheng.npz --out build/acquisition

What the files don't say was looked up by eye (slices/labels.json).
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.models.acquisition import SEQUENCES, AcquisitionNetwork
from training.options import recipe_options
from training.recipes.augmentation import mirror_signs, uniform_numbers, warped
from training.recipes.run import Run
from training.recipes.slices.data import NOT_T2, UNKNOWN, Slices, load_slices
from training.recipes.slices.figures import acquisition_figures, least_probabilities, refused_axial
from training.recipes.weights import seeded

INVERTED = 0.25  # of the scans that teach planes: a plane looks the same whatever is bright
STRIPPED = 0.35  # of the same


def main() -> None:
    options = recipe_options(__doc__, steps=4000, batch=64, lr=2e-3, decay=0.99).parse_args()
    collections = load_slices({path.stem: path for path in options.data})
    train = [slices.chosen(slices.splits == 0) for slices in collections]
    val = [slices.chosen(slices.splits == 1) for slices in collections]
    run = Run("brain-acquisition", seeded(AcquisitionNetwork, f"acquisition {options.seed}"), options)
    half = options.batch // 2
    by_plane = drawing(train, lambda slices: slices.planes)
    by_sequence = drawing(train, lambda slices: slices.sequences)

    def loss(network: AcquisitionNetwork, step: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
        (first, planes), (second, sequences) = by_plane(half, generator), by_sequence(options.batch - half, generator)
        pixels = torch.cat([varied(first, generator, strong=True), varied(second, generator, strong=False)])
        plane, sequence = network(pixels.contiguous(memory_format=torch.channels_last))
        told = functional.cross_entropy(plane[: len(first)].float(), planes, label_smoothing=0.02)
        yield 1.0, told + sequence_loss(sequence[len(first) :].float(), sequences)

    run.train(loss)
    network = run.averaged()
    least = least_probabilities(network, train)
    figures = acquisition_figures(network, val, least) | {"refused_on_train": refused_axial(network, train)}
    run.finish("acquisition", {"least": least} | figures)


def drawing(
    collections: list[Slices], labels: Callable[[Slices], np.ndarray]
) -> Callable[[int, torch.Generator], tuple[Tensor, Tensor]]:
    """Return what draws a batch: (size, generator) → (B, 1, H, W) pixels and (B,) labels.

    Each label comes as often as any other, and so does each collection within it.
    """
    places: dict[int, list[tuple[Slices, np.ndarray]]] = {}
    for slices in collections:
        for label in np.unique(labels(slices)):
            if label != UNKNOWN:
                places.setdefault(int(label), []).append((slices, np.flatnonzero(labels(slices) == label)))
    names = sorted(places)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        drawn = torch.randint(len(names), (size,), generator=generator).tolist()
        pixels = [_one(places[names[index]], generator) for index in drawn]
        return torch.cat(pixels), torch.tensor([names[index] for index in drawn])

    return draw


def _one(homes: list[tuple[Slices, np.ndarray]], generator: torch.Generator) -> Tensor:
    slices, places = homes[int(torch.randint(len(homes), (), generator=generator))]
    return slices.images(torch.from_numpy(places[int(torch.randint(len(places), (), generator=generator))][None]))


def sequence_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy; of a slice of which no more is known than that it is no T2, −log of the probability of that."""
    known, t2 = labels != NOT_T2, SEQUENCES.index("T2")
    others = torch.cat([logits[:, :t2], logits[:, t2 + 1 :]], 1)
    losses = torch.where(
        known,
        functional.cross_entropy(logits, labels.clamp_min(0), reduction="none", label_smoothing=0.02),
        logits.logsumexp(1) - others.logsumexp(1),
    )
    return losses.mean()


def varied(pixels: Tensor, generator: torch.Generator, strong: bool) -> Tensor:
    """Return pixels turned by up to 20°, mirrored, zoomed, shifted, with other grey levels, noise and blur.

    `strong` strips some heads, changes grey levels more, shades them from side to side, and inverts those of some.
    """
    if strong:
        pixels = torch.where(uniform(pixels, 0, 1, generator) < STRIPPED, stripped(pixels, generator), pixels)
    pixels = moved(pixels, generator)
    if strong:
        inverted = (uniform(pixels, 0, 1, generator) < INVERTED) & (pixels > 0.06)
        pixels = torch.where(inverted, 0.9 - 0.8 * pixels, pixels) * _shading(pixels, generator)
    widest = 1.8 if strong else 1.3
    gamma, gain = widest ** uniform(pixels, -1, 1, generator), uniform(pixels, 0.75, 1.3, generator)
    pixels = gain * pixels.clamp_min(1e-6) ** gamma
    soft = functional.avg_pool2d(pixels, 3, 1, 1)
    pixels = torch.where(uniform(pixels, 0, 1, generator) < 0.3, soft, pixels)
    noise = torch.randn(pixels.shape, generator=generator) * uniform(pixels, 0, 0.03, generator)
    return (pixels + noise).clamp(0, 1)


def stripped(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return heads without a rim of about 10 pixels, and without what lies below a random row: roughly a brain.

    Templates and research data come without a skull, and then nothing but the brain's own shape tells the plane.
    """
    coarse = (functional.avg_pool2d(pixels, 4) > 0.06).float()
    # What is black within the head is filled; then how much of the head is around a pixel tells how deep that lies.
    closed = 1 - functional.max_pool2d(1 - functional.max_pool2d(coarse, 5, 1, 2), 5, 1, 2)
    depth = functional.interpolate(functional.avg_pool2d(closed, 7, 1, 3), pixels.shape[-2:], mode="bilinear")
    kept = depth > uniform(pixels, 0.75, 0.95, generator)
    rows = torch.arange(pixels.shape[-2]).view(1, 1, -1, 1) < uniform(pixels, 100, 128, generator)
    return pixels * kept * rows


def moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return pixels turned by up to 20°, half of them mirrored, zoomed by up to 1.3 and shifted by up to 8 %."""
    angle, zoom = uniform(pixels, -20, 20, generator), 1.3 ** uniform(pixels, -1, 1, generator)
    shift = uniform_numbers(pixels, 2, -0.16, 0.16, generator).flatten(1)  # in half sides
    return warped(pixels, angle, mirror_signs(pixels, generator), "zeros", zoom, shift)


def uniform(pixels: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return (B, 1, 1, 1) numbers for B images."""
    return uniform_numbers(pixels, 1, low, high, generator)


def _shading(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return (B, 1, H, W) factors of .6 to 1.4 that change slowly, as a receiver coil's sensitivity does."""
    coarse = 0.6 + 0.8 * torch.rand((len(pixels), 1, 3, 3), generator=generator)
    return functional.interpolate(coarse, pixels.shape[-2:], mode="bicubic", align_corners=True).clamp(0.6, 1.4)


if __name__ == "__main__":
    main()
