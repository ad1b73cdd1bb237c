"""A small bundle on disk that tells what is altered from what is misleading, calibrated on two sites."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.bundles import file_sha256
from core.bundles.calibration import Calibration
from core.models.diffusion import Diffusion
from core.models.mae import MaskedAutoencoder
from core.models.resnet import NarrowResNet18
from tests.defended import CLASSES, PATCH, SIDE, UNET, invented_calibration
from training.files import read_facts, write_facts
from training.measure import calibrate

NAME, CLASSIFIER, WIDTH, PER_SITE = "tiny-sites", "resnet18", 32, 40
SITES = ("north", "south")
DECODER = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
MAE = {"patch": PATCH, "width": WIDTH, "depth": 2, "heads": 2, **DECODER}


def write_uncalibrated(weights: Path, name: str = NAME) -> Path:
    """Untrained networks and no limits, below a folder like weights/; its own folder."""
    folder = weights / name
    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = {
            CLASSIFIER: NarrowResNet18(1, len(CLASSES), width=4),
            "mae": MaskedAutoencoder(SIDE, channels=1, **MAE),
            "unet": Diffusion(UNET).unet,
        }
    for name, network in networks.items():
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    shapes = {"centre": (2 * WIDTH,), "projection": (2 * WIDTH, 1), "references": (1, 1)}
    shapes |= {"amv_weight": (2 * WIDTH,), "amv_bias": ()}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / "content.safetensors")
    (folder / "calibration.json").write_text("{}")
    entry = {"file": f"{CLASSIFIER}.safetensors", "architecture": "half-resnet18", "config": {"width": 4}}
    facts = {
        "name": name,
        "title": "Tiny scans of two sites",
        "classes": CLASSES,
        "input": {"resolution": SIDE, "channels": 1},
        "default_classifier": CLASSIFIER,
        "modalities": ["MR"],
        "content": "content.safetensors",
        "calibration": "calibration.json",
        "mae": {"file": "mae.safetensors", "config": MAE},
        "unet": {"file": "unet.safetensors", "config": UNET, "unconditional": None},
        "classifiers": {CLASSIFIER: entry},
        "limits": {},
    }
    hashes = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    (folder / "bundle.json").write_text(json.dumps({**facts, "files": hashes}))
    return folder


def write_sites(folder: Path) -> list[Path]:
    """A data set a site, of discs with noise, in pairs that are alike; south is darker and noisier."""
    paths = []
    for site, (light, noise) in zip(SITES, ((0.6, 0.04), (0.4, 0.08))):
        random = np.random.default_rng(len(site) + int(100 * light))
        count = 100
        rows, columns = np.mgrid[:SIDE, :SIDE]
        images = [
            0.1 + light * ((rows - 16) ** 2 + (columns - 10 - i % 11) ** 2 < (5 + i % 7) ** 2) for i in range(count)
        ]
        images = np.clip(np.stack(images) + random.normal(0, noise, (count, SIDE, SIDE)), 0, 1)
        path = folder / f"{site}.npz"
        np.savez(
            path,
            image=np.rint(255 * images).astype(np.uint8),
            label=np.arange(count) % 2,
            group=np.arange(count) // 2,
            split=(np.arange(count) >= 50).astype(int),
        )
        paths.append(path)
    return paths


def invented_sites(count: int = 80) -> Calibration:
    """Answers to scans that nobody has, of two sites: south's scores lie higher, and attacks add to all of them."""
    one, random = invented_calibration(count), np.random.default_rng(1)
    sites = [SITES[place % 2] for place in range(count)]
    higher = np.where(np.array(sites) == "south", 1.5, 1.0)
    conditions = {}
    for name, answers in one.conditions.items():
        added = 3.0 if name.startswith("pgd") else 1.0
        scores = {score: (higher * np.array(values)).tolist() for score, values in answers.scores.items()}
        scores["agreement"] = (added * higher * random.random(count)).tolist()
        conditions[name] = replace(answers, scores=scores)
    return replace(one, conditions=conditions, sites=sites, sequences=["T1"] * count)


def write_bundle(weights: Path, name: str = NAME) -> Path:
    """The bundle with an invented calibration, and the limits that this asks for; its folder."""
    folder = write_uncalibrated(weights, name)
    shapes = {"centre": (2 * WIDTH,), "projection": (2 * WIDTH, 4), "references": (1, 4)}
    for score in ("amv", "agreement"):
        shapes |= {f"{score}_weight": (2 * WIDTH,), f"{score}_bias": ()}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / "content.safetensors")
    (folder / "calibration.json").write_text(json.dumps({CLASSIFIER: asdict(invented_sites())}))
    facts = read_facts(folder)
    facts["mae"]["masks"] = calibrate.MASKS
    write_facts(folder, facts)
    calibrate.fit_bundle(folder)
    return folder


def calibrated(weights: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle as `training.measure.calibrate` leaves it; its folder."""
    folder, paths = write_uncalibrated(weights), write_sites(work)
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", weights)
    monkeypatch.setattr("training.measure.answers.NOTEBOOKS", work / "answers")
    words = ["calibrate", "--data", *map(str, paths), "--bundle", NAME, "--per-site", str(PER_SITE)]
    monkeypatch.setattr(sys, "argv", words)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for networks this small, threads wait longer for each other than they work
    try:
        calibrate.main()
    finally:
        torch.set_num_threads(threads)
    return folder


def change_limits(folder: Path, **values: float) -> None:
    """Put other thresholds in the place of those that were fitted, and refuse nothing."""
    facts = read_facts(folder)
    for entry in facts["limits"].values():
        entry["scope_limit"] = 1e9
        for score, value in values.items():
            entry["thresholds"][score]["value"] = value
    write_facts(folder, facts)


def add_hardened(folder: Path) -> Path:
    """The same bundle with a classifier, of the same weights, that answers under the hardened policy."""
    copyfile(folder / f"{CLASSIFIER}.safetensors", folder / "hardened.safetensors")
    facts, path = read_facts(folder), folder / "calibration.json"
    facts["classifiers"]["hardened"] = facts["classifiers"][CLASSIFIER] | {"file": "hardened.safetensors"}
    answers = json.loads(path.read_text())
    path.write_text(json.dumps(answers | {"hardened": answers[CLASSIFIER] | {"purifies": False}}))
    write_facts(folder, facts | {"hardened": "hardened"})
    calibrate.fit_bundle(folder)
    return folder
