"""What is recorded of a federation's sites, as far as their licences allow, and of the bytes that cross."""

import base64
import io
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.encryption import Client, default_preset
from core.encryption.heads import TOKEN_SIZE, Shape
from core.evaluation.datasets import Dataset
from core.federation.encrypted import SumKey
from core.federation.plan import HEAD, Plan
from core.federation.strategies import find_strategy, kept_names
from training.tasks import BRAIN_MRI, HOSPITALS

# Collection → where its scans come from, and whether its licence allows to show them.
SOURCES = {
    "br35h": ("Br35H, whose licence is unknown: no scan of it is shown", False),
    "tcga-lgg": ("TCGA-LGG, The Cancer Imaging Archive, CC BY 3.0", True),
    "cheng": ("Cheng 2017, figshare 1512427, CC BY 4.0", True),
}
UNKNOWN = ("licence not stated: no scan of it is shown", False)
BACKGROUND, BINS = 0.05, 24
PICTURES, PICTURE_SIDE, MEAN_SIDE = 3, 96, 64


def home_of(code: str) -> tuple[str, str]:
    """Return what a site is called, and what it is."""
    return HOSPITALS.get(code, (code, "A site of the collection."))


def site_row(code: str, train: Dataset, val: Dataset, seed: int) -> dict[str, Any]:
    """Return a site's entry: its counts, how its scans look, and some of them where that is allowed."""
    name, description = home_of(code)
    source, shown = SOURCES.get(train.collections[0], UNKNOWN)
    chosen = some_scans(val, seed)
    return {
        "name": name,
        "description": description,
        "source": source,
        "train": class_counts(train),
        "val": class_counts(val),
        "groups": len(set(val.groups)),
        "histogram": histogram(train.pixels),
        "mean_picture": picture(train.pixels.mean(0), MEAN_SIDE),
        "pictures": [picture(val.pixels[place], PICTURE_SIDE) for place in chosen if shown],
        "followed": BRAIN_MRI["classes"][int(val.labels[chosen[0]])],
    }


def class_counts(data: Dataset) -> dict[str, int]:
    """Return class → scans."""
    counts = np.bincount(data.labels.numpy(), minlength=len(BRAIN_MRI["classes"])).tolist()
    return dict(zip(BRAIN_MRI["classes"], counts))


def some_scans(data: Dataset, seed: int) -> list[int]:
    """Return places of a few scans, classes in turn and the last first, from the half that shows most of the head."""
    tissue = (data.pixels > BACKGROUND).float().mean((1, 2, 3)).numpy()
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(tissue >= np.median(tissue))).tolist()
    classes = sorted(set(data.labels.tolist()), reverse=True)
    turns = zip_longest(*([place for place in drawn if data.labels[place] == label] for label in classes))
    return [place for turn in turns for place in turn if place is not None][:PICTURES]


def histogram(pixels: torch.Tensor) -> list[float]:
    """Return the shares of the pixels above the background by grey level, in equal bins from 0 to 1."""
    counts = np.histogram(pixels[pixels > BACKGROUND].numpy(), BINS, (0, 1))[0]
    return [round(float(share), 5) for share in counts / max(counts.sum(), 1)]


def picture(pixels: torch.Tensor, side: int) -> str:
    """Return (1, H, W) pixels in [0, 1] as a small PNG in base64."""
    grey = Image.fromarray((255 * pixels[0]).round().byte().numpy()).resize((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    grey.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def crossing_bytes(plan: Plan, classes: int, seed: int) -> dict[str, int]:
    """Return the bytes that one site sends in a round, really encrypted where they are; the token is of one scan."""
    network = plan.network()
    state = plan.first_state(network)
    kept = kept_names(find_strategy("medfedpure"), network, HEAD)
    sizes = {name: value.numel() * value.element_size() for name, value in state.items()}
    ciphertexts = SumKey().encrypted(state, 1.0)
    shape = Shape("linear", classes)
    with Client(default_preset(shape), shape) as client:
        token = client.encrypt(np.random.default_rng(seed).normal(size=TOKEN_SIZE))
    return {
        "fedavg": sum(sizes.values()),
        "medfedpure": sum(size for name, size in sizes.items() if name not in kept),
        "network": sum(sizes.values()),
        "encrypted": sum(value.numel() for value in ciphertexts.values()),
        "token": len(token),
    }
