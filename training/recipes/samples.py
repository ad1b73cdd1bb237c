"""Draw synthetic scans with the bundle's own diffusion model and write them as DICOM among the samples.

    python -m training.recipes.samples --data br35h.npz tcga-lgg.npz cheng.npz
    python -m training.recipes.samples --data pneumonia.npz --bundle chest-xray
    python -m training.recipes.samples --data pbc.zip --bundle blood-cells

None is a training scan in disguise: each is as far from its nearest training scan, mirrored or not, as unseen scans are
from theirs, all but the nearest twentieth of the validation scans. Distances are between the details of two scans: a
copy has the same, whatever its brightness and contrast, while a smooth drawing lies near everything otherwise. They are
recorded in samples.json beside the files. The collections take turns in giving the mean that a drawing begins from.
"""

import shlex
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from core import compute
from core.attacks import displayable
from core.bundles import Bundle, load_bundle
from core.defence.pipeline import examine
from core.evaluation.datasets import Dataset
from core.models.diffusion import cumulative_alphas
from core.scans import load_scan, sample_scans, write_derived_dicom
from core.scans.samples import sample_folder
from training.files import write_json
from training.options import bundle_command, bundle_options
from training.recipes.data import by_collection, measured_collections

BODY_PARTS = {"brain-mri": "BRAIN", "chest-xray": "CHEST"}  # (0018,0015), by the terms of PS3.16 annex L
DRAWN = 12  # of a bundle in all, at least one of each class
CANDIDATES = 48
MEASURED = 100  # val scans of a collection, whose distances are taken
NEAREST_UNSEEN = 0.05  # so many of them may lie nearer to a training scan than a drawing
START = 600
STEPS = 80
CONFIDENT = 0.9
COARSE = 0.06  # of the side of an image: what is larger is layout, which many scans share


def main() -> None:
    parser = bundle_options(__doc__)
    parser.add_argument("--of-class", type=int, help=f"most drawings of a class; by default {DRAWN} over all classes")
    parser.add_argument("--candidates", type=int, default=CANDIDATES, help="most that are drawn to find these")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    data = measured_collections(bundle, options)
    known = data.split("train")
    val = by_collection(data.split("val"), MEASURED)
    taken = details(known.pixels)
    unseen = [nearest(pixels, taken) for part in val.values() for pixels in part.pixels]
    needed = float(np.quantile(unseen, NEAREST_UNSEEN))
    folder = sample_folder(bundle.name)
    folder.mkdir(parents=True, exist_ok=True)
    for old in sample_scans(bundle.name):
        if old.path.parent == folder and old.origin == "synthetic":
            old.path.unlink()
    wanted = options.of_class or max(1, DRAWN // len(bundle.classes))
    words = ["--of-class", str(wanted), "--candidates", str(options.candidates)]
    command = bundle_command("training.recipes.samples", bundle.name, options)
    record: dict[str, Any] = {"command": shlex.join([*shlex.split(command), *words])}
    for label in range(len(bundle.classes)):
        first = options.seed + 1000 * label
        seeds = range(first, first + options.candidates)
        record |= written_samples(bundle, label, known, taken, needed, seeds, wanted)
    write_json(folder / "samples.json", record)


def written_samples(
    bundle: Bundle, label: int, known: Dataset, taken: Tensor, needed: float, seeds: range, wanted: int
) -> dict[str, dict[str, Any]]:
    """Write at most `wanted` scans of one class, one a seed, each farther than `needed` from all known ones, whose
    details are `taken`; return file → what is recorded."""
    name, means = bundle.classes[label], class_means(known, label)
    record: dict[str, dict[str, Any]] = {}
    for candidate in seeds:
        if len(record) == wanted:
            break
        pixels = draw(bundle, label, means[candidate % len(means)], candidate)
        distance = nearest(pixels[0], taken)
        if distance <= needed:
            continue
        place = len(record) + 1
        file = free_file(sample_folder(bundle.name), name, {sample.key for sample in sample_scans()})
        description = (
            f"Synthetic image drawn by the diffusion model of {bundle.name}, class '{name}', seed {candidate}; "
            "no patient. Not for diagnosis."
        )
        part = BODY_PARTS.get(bundle.name)
        write_derived_dicom(
            file,
            displayable(pixels),
            kind="synthetic",
            description=description,
            modality=bundle.written_modality,
            extra={"BodyPartExamined": part} if part else {},
        )
        if not convincing(file, bundle, name):
            file.unlink()
            continue
        record[file.name] = {
            "title": f"Synthetic, drawn as ‘{name}’ {place}",
            "description": "Drawn by our own diffusion model; it shows no patient.",
            "drawn_as": name,
            "seed": candidate,
            "nearest_training_detail": round(distance, 5),
            "least_validation_detail": round(needed, 5),
        }
    return record


def free_file(folder: Path, name: str, taken: Collection[str]) -> Path:
    """Return the first file of a class whose name no sample has yet as its key: real ones bear that of theirs, too."""
    files = (folder / f"{name.replace(' ', '-')}-{number:02d}.dcm" for number in count(1))
    return next(file for file in files if file.stem not in taken)


def class_means(known: Dataset, label: int) -> list[Tensor]:
    """Return the mean (1, C, R, R) of a class in each collection that has it."""
    homes, of_class = np.array(known.collections), known.labels.numpy() == label
    places = [of_class & (homes == name) for name in dict.fromkeys(known.collections)]
    return [known.pixels[torch.from_numpy(chosen)].mean(0, keepdim=True) for chosen in places if chosen.any()]


@torch.no_grad()
def draw(bundle: Bundle, label: int, mean: Tensor, seed: int) -> Tensor:
    """Return (1, C, R, R) in [0, 1], sampled given the class (Ho et al. 2020, algorithm 2, on every few steps).

    It begins at t = `START` from the noised `mean` (1, C, R, R) of the class and not from pure noise: where hardly any
    signal is left, small errors of the U-Net grow into a wrong brightness of the whole picture.
    """
    place, diffusion = compute.device(), bundle.diffusion
    generator = torch.Generator().manual_seed(seed)
    given = torch.tensor([label], device=place)
    times = torch.linspace(START, 0, STEPS + 1).round().long().to(place)
    alphas = cumulative_alphas().to(place)
    noisy = diffusion.diffuse(mean.to(place), times[:1], torch.randn(mean.shape, generator=generator).to(place))
    for now, after in zip(times, times[1:]):
        estimate = diffusion.estimate(noisy, now.view(1), diffusion.predict_noise(noisy, now.view(1), given))
        alpha, following = alphas[now], alphas[after]
        noise = (noisy - alpha.sqrt() * (2 * estimate - 1)) / (1 - alpha).sqrt()
        fresh = ((1 - following) / (1 - alpha) * (1 - alpha / following)).sqrt()
        noisy = following.sqrt() * (2 * estimate - 1) + (1 - following - fresh**2).clamp_min(0).sqrt() * noise
        noisy = noisy + fresh * torch.randn(mean.shape, generator=generator).to(place)
    return estimate.cpu()


def nearest(pixels: Tensor, taken: Tensor) -> float:
    """Return how far a (C, R, R) image, mirrored or not, is from the nearest of the (N, C·R·R) `details` of others.

    0 for a copy, √2 for an image that has nothing in common with any.
    """
    return torch.cdist(details(torch.stack([pixels, pixels.flip(-1)])), taken).amin().item()


def details(images: Tensor) -> Tensor:
    """Return (N, C·R·R) what (N, C, R, R) images have beside their blurred selves, each of length 1."""
    side = 2 * max(1, round(images.shape[-1] * COARSE)) + 1
    parts = [part - gaussian_blur(part, [side, side]) for part in images.split(256)]
    return functional.normalize(torch.cat(parts).flatten(1), dim=1)


def convincing(file: Path, bundle: Bundle, label: str) -> bool:
    """Return whether the pipeline reads the file as what it was drawn as, with confidence and without suspicion."""
    exam = examine(load_scan(file), bundle)
    suspicious = exam.detection.flagged or exam.detection.altered
    return exam.label == label and not suspicious and exam.prediction.confidence >= CONFIDENT


if __name__ == "__main__":
    main()
