"""A bundle with the whole defence, of small networks with random weights, and scans for it: soon answered."""

from pathlib import Path

import numpy as np
import torch

from core.bundles import Bundle, Content
from core.bundles.calibration import LADDER, OF_SCANNERS, Calibration, Limits, Responses, spared_changes
from core.evaluation.datasets import Dataset
from core.models.diffusion import Diffusion
from core.models.mae import MaskedAutoencoder
from core.models.resnet import NarrowResNet18

NAME, SIDE, PATCH = "resnet18", 32, 8
CLASSES = ("no tumour", "tumour")
UNET = {
    "sample_size": SIDE,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [8, 8],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"] * 2,
    "up_block_types": ["UpBlock2D"] * 2,
}


def small_diffusion() -> Diffusion:
    """An untrained U-Net with its schedule."""
    return Diffusion(UNET)


def defended_bundle(seed: int = 0) -> Bundle:
    """The bundle, of the networks of this seed; its limits flag and refuse nothing, and its calibration is invented."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = NarrowResNet18(1, len(CLASSES), width=4)
        mae = MaskedAutoencoder(
            SIDE, PATCH, 1, width=16, depth=2, heads=2, decoder_width=8, decoder_depth=1, decoder_heads=2
        )
        diffusion = small_diffusion()
        content = Content(torch.zeros(32), torch.randn(32, 4), torch.zeros(1, 4), torch.zeros(32), torch.zeros(()))
    networks = [network.eval().requires_grad_(False) for network in (classifier, mae, diffusion)]
    files = {"resnet18.safetensors": "1" * 64, "mae.safetensors": "2" * 64, "unet.safetensors": "3" * 64}
    return Bundle(
        name="tiny-scans",
        title="Tiny scans",
        classes=CLASSES,
        resolution=SIDE,
        channels=1,
        classifiers={NAME: networks[0]},
        default_classifier=NAME,
        mae=networks[1],
        diffusion=networks[2],
        limits={NAME: Limits({}, float("inf"), ((float("inf"), 40),))},
        calibrations={NAME: invented_calibration()},
        modalities=("MR",),
        content=content,
        hashes=files,
        facts={"classifiers": {NAME: {"file": "resnet18.safetensors"}}},
        folder=Path("none"),
    )


def invented_calibration(count: int = 80) -> Calibration:
    """Answers to scans that nobody has: random scores, and attention that varies the more, the stronger the attack."""
    random = np.random.default_rng(0)
    kinds = {"clean": 1.0} | {f"{name} {severity}": 1.0 for name, severity in spared_changes(OF_SCANNERS)}
    kinds |= {f"pgd {eps}/255": 1.0 + eps for eps, _ in LADDER}
    numbers = [str(place) for place in range(count)]
    conditions = {name: _invented_responses(random, count, amv) for name, amv in kinds.items()}
    return Calibration(numbers, [f"invented {number}" for number in numbers], [0] * count, conditions)


def _invented_responses(random: np.random.Generator, count: int, amv: float) -> Responses:
    scores = {"mae_error": 0.1, "amv": amv, "instability": 0.01}
    return Responses(
        undefended=[0] * count,
        certainty=random.random(count).tolist(),
        scores={name: (size * random.random(count)).tolist() for name, size in scores.items()},
        scope=random.random(count).tolist(),
        estimates={t_star: [0] * count for _, t_star in LADDER},
        ssim={t_star: [1.0] * count for _, t_star in LADDER},
        seconds={"detect": 0.1, "purify": 0.05},
    )


def scans(count: int) -> Dataset:
    """Discs with noise at 8 bits, each in a group of its own; every other one is a tumour."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels = []
    for index in range(count):
        disc = (rows - 16) ** 2 + (columns - 12 - index % 8) ** 2 < (6 + index % 5) ** 2
        pixels.append(np.rint(255 * np.clip(0.2 + 0.5 * disc + random.normal(0, 0.1, disc.shape), 0, 1)) / 255)
    return Dataset(
        pixels=torch.tensor(np.stack(pixels), dtype=torch.float32)[:, None],
        labels=torch.arange(count) % len(CLASSES),
        groups=tuple(map(str, range(count))),
        splits=("val",) * count,
        sha256="4" * 64,
    )
