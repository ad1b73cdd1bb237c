"""A bundle of classifiers alone: eight classes of colour pictures, and small networks with random weights."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from core.bundles import ARCHITECTURES, file_sha256

NAME, CLASSES, SIDE = "tiny-cells", tuple(f"kind {letter}" for letter in "abcdefgh"), 32
NETWORKS = {
    "resnet18": ("half-resnet18", {"width": 4}),
    "mamba": ("medmamba", {"width": 8, "depths": [1, 1, 1]}),
    "vit": ("vit", {"size": SIDE, "patch": 8, "width": 32, "depth": 1, "heads": 2, "hidden": 8}),
}


def write_bundle(weights: Path) -> Path:
    """Write it below a folder like weights/; its own folder."""
    folder = weights / NAME
    folder.mkdir(parents=True)
    entries = {}
    for name, (architecture, config) in NETWORKS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = ARCHITECTURES[architecture](3, len(CLASSES), **config)
        save_file(network.state_dict(), folder / f"{name}.safetensors")
        entries[name] = {"file": f"{name}.safetensors", "architecture": architecture, "config": config}
    facts = {
        "name": NAME,
        "title": "Tiny cells",
        "classes": CLASSES,
        "input": {"resolution": SIDE, "channels": 3},
        "default_classifier": "resnet18",
        "modalities": [],
        "classifiers": entries,
        "files": {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))},
    }
    (folder / "bundle.json").write_text(json.dumps(facts))
    return folder


def cell(seed: int = 0, height: int = 48, width: int = 40) -> np.ndarray:
    """(H, W, 3) in [0, 1]: a violet disc with a little noise on a pink ground."""
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (0.3 * width) ** 2
    picture = np.where(inside[..., None], (0.45, 0.2, 0.6), (0.95, 0.75, 0.8))
    return np.clip(picture + np.random.default_rng(seed).normal(0, 0.05, picture.shape), 0, 1)


def write_picture(path: Path, picture: np.ndarray) -> Path:
    """A picture in [0, 1] as a file of 8 bits; its path."""
    Image.fromarray(np.rint(255 * picture).astype(np.uint8)).save(path)
    return path


def write_set(path: Path, count: int = 4) -> Path:
    """A data set of the .npz layout, each picture in a group of its own; its path."""
    images = np.stack([np.rint(255 * cell(seed)).astype(np.uint8) for seed in range(count)])
    np.savez(path, image=images, label=np.arange(count) % 8, group=np.arange(count), split=np.ones(count, int))
    return path
