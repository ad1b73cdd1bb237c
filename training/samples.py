"""Draw synthetic scans with the bundle's own diffusion model and write them as DICOM into assets/samples.

    python -m training.samples --data br35h.npz

Each is farther from its nearest training scan, mirrored or not, than the median validation scan is from its own: so
none is a training scan in disguise. The distances are recorded in samples.json beside the files.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core import compute
from core.attacks import displayable
from core.bundles import Bundle, load_bundle
from core.defence.pipeline import examine
from core.evaluation.datasets import load_for
from core.models.diffusion import cumulative_alphas
from core.scans import load_scan, write_derived_dicom

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "samples"
PER_CLASS = 6
CANDIDATES = 16
START = 600
STEPS = 80
CONFIDENT = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="brain-mri")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    data = load_for(bundle, options.data)
    known = data.split("train")
    train = known.pixels
    needed = float(np.median([nearest(pixels, train) for pixels in data.split("val").pixels]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.dcm"):
        old.unlink()
    record = {}
    for label, name in enumerate(bundle.classes):
        kept, mean = 0, train[known.labels == label].mean(0, keepdim=True)
        for candidate in range(CANDIDATES):
            if kept == PER_CLASS:
                break
            seed = options.seed + 1000 * label + candidate
            pixels = draw(bundle, label, mean, seed)
            distance = nearest(pixels[0], train)
            if distance <= needed:
                continue
            file = FOLDER / f"{name.replace(' ', '-')}-{kept + 1:02d}.dcm"
            description = (
                f"Synthetic scan drawn by the diffusion model of {bundle.name}, class '{name}', seed {seed}; "
                "no patient. Not for diagnosis."
            )
            write_derived_dicom(
                file,
                displayable(pixels),
                kind="synthetic",
                description=description,
                extra={"BodyPartExamined": "BRAIN"},
            )
            if not convincing(file, bundle, name):
                file.unlink()
                continue
            kept += 1
            record[file.name] = {
                "title": f"Synthetic, drawn as ‘{name}’ {kept}",
                "description": "Drawn by our own diffusion model; it shows no patient.",
                "drawn_as": name,
                "seed": seed,
                "nearest_training_rmse": round(distance, 5),
                "median_validation_rmse": round(needed, 5),
            }
    command = f"python -m training.samples --data {options.data.name} --bundle {bundle.name} --seed {options.seed}"
    text = json.dumps({"command": command} | record, indent=1, ensure_ascii=False)
    (FOLDER / "samples.json").write_text(text + "\n", encoding="utf-8")


@torch.no_grad()
def draw(bundle: Bundle, label: int, mean: Tensor, seed: int) -> Tensor:
    """(1, C, R, R) in [0, 1]: ancestral sampling (Ho et al. 2020, algorithm 2, on every few steps), given the class.

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
    """Root mean square difference of a (C, R, R) image to its nearest of (N, C, R, R), mirrored or not."""
    both = torch.stack([pixels, pixels.flip(-1)]).flatten(1)
    squares = torch.cdist(both, train.flatten(1)).amin()
    return (squares / both.shape[1] ** 0.5).item()


def convincing(file: Path, bundle: Bundle, label: str) -> bool:
    """Whether the pipeline reads the file as what it was drawn as, with confidence and without suspicion."""
    exam = examine(load_scan(file), bundle)
    return exam.label == label and not exam.detection.flagged and exam.prediction.confidence >= CONFIDENT


if __name__ == "__main__":
    main()
