"""Draw synthetic scans with the bundle's own diffusion model and write them as DICOM among the samples.

    python -m training.recipes.samples --data br35h.npz tcga-lgg.npz cheng.npz
    python -m training.recipes.samples --data pneumonia.npz --bundle chest-xray
    python -m training.recipes.samples --data pbc.zip --bundle blood-cells

Each is farther from its nearest training scan, mirrored or not, than the median validation scan is from its own: so
none is a training scan in disguise. The distances are recorded in samples.json beside the files. The collections take
turns in giving the mean that a drawing begins from.
"""

from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
MEASURED = 100  # val scans of a collection, whose distances the median is of
START = 600
STEPS = 80
CONFIDENT = 0.9


def main() -> None:
    options = bundle_options(__doc__).parse_args()
    bundle = load_bundle(options.bundle)
    data = measured_collections(bundle, options)
    known = data.split("train")
    val = by_collection(data.split("val"), MEASURED)
    needed = float(np.median([nearest(pixels, known.pixels) for part in val.values() for pixels in part.pixels]))
    folder = sample_folder(bundle.name)
    folder.mkdir(parents=True, exist_ok=True)
    for old in sample_scans(bundle.name):
        if old.path.parent == folder and old.origin == "synthetic":
            old.path.unlink()
    record: dict[str, Any] = {"command": bundle_command("training.recipes.samples", bundle.name, options)}
    for label in range(len(bundle.classes)):
        record |= written_samples(bundle, label, known, needed, options.seed + 1000 * label)
    write_json(folder / "samples.json", record)


def written_samples(bundle: Bundle, label: int, known: Dataset, needed: float, seed: int) -> dict[str, dict[str, Any]]:
    """Write scans of one class, each farther than `needed` from all known ones; return file → what is recorded."""
    name, means = bundle.classes[label], class_means(known, label)
    record: dict[str, dict[str, Any]] = {}
    for candidate in range(seed, seed + CANDIDATES):
        if len(record) == max(1, DRAWN // len(bundle.classes)):
            break
        pixels = draw(bundle, label, means[candidate % len(means)], candidate)
        distance = nearest(pixels[0], known.pixels)
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
            "nearest_training_rmse": round(distance, 5),
            "median_validation_rmse": round(needed, 5),
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


def nearest(pixels: Tensor, train: Tensor) -> float:
    """Return the root mean square difference of a (C, R, R) image to its nearest of (N, C, R, R), mirrored or not."""
    both = torch.stack([pixels, pixels.flip(-1)]).flatten(1)
    squares = torch.cdist(both, train.flatten(1)).amin()
    return (squares / both.shape[1] ** 0.5).item()


def convincing(file: Path, bundle: Bundle, label: str) -> bool:
    """Return whether the pipeline reads the file as what it was drawn as, with confidence and without suspicion."""
    exam = examine(load_scan(file), bundle)
    suspicious = exam.detection.flagged or exam.detection.altered
    return exam.label == label and not suspicious and exam.prediction.confidence >= CONFIDENT


if __name__ == "__main__":
    main()
