"""Put trained components into weights/<bundle>/ as fp16 and write down what they are; calibrate.py adds the rest.

python -m training.assemble --mae FILE --unet FOLDER --classifier resnet18=FILE
python -m training.assemble --bundle blood-cells --classifier mamba=FILE
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from core.bundles import WEIGHTS, file_sha256

TASKS = {
    "brain-mri": {
        "name": "brain-mri",
        "title": "Brain MRI: tumour or no tumour",
        "classes": ["no tumour", "tumour"],
        "input": {"resolution": 128, "channels": 1},
        "default_classifier": "resnet18",
        "modalities": ["MR"],
        "content": "content.safetensors",
        "calibration": "calibration.json",
    },
    "blood-cells": {
        "name": "blood-cells",
        "title": "Blood cells: which of eight kinds",
        "classes": [
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocyte",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ],
        "codes": ["basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet"],
        "input": {"resolution": 64, "channels": 3},
        "default_classifier": "mamba",
        "modalities": [],
    },
    "lung-histology": {
        "name": "lung-histology",
        "title": "Lung tissue: normal, adenocarcinoma or squamous cell carcinoma",
        "classes": ["normal lung", "adenocarcinoma", "squamous cell carcinoma"],
        "codes": ["lung_n", "lung_aca", "lung_scc"],
        "input": {"resolution": 128, "channels": 3},
        "default_classifier": "vit",
        "modalities": [],
    },
}
BUNDLE = TASKS["brain-mri"]
MAE_CONFIG = {
    "patch": 8,
    "width": 256,
    "depth": 8,
    "heads": 8,
    "decoder_width": 192,
    "decoder_depth": 4,
    "decoder_heads": 6,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BUNDLE["name"])
    parser.add_argument("--mae", type=Path)
    parser.add_argument("--unet", type=Path, help="folder that diffusers' save_pretrained wrote")
    parser.add_argument("--classifier", action="append", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    folder = WEIGHTS / arguments.bundle
    folder.mkdir(parents=True, exist_ok=True)
    facts = read_facts(folder)
    provenance = facts.setdefault("provenance", {})
    if arguments.mae:
        copy_fp16(arguments.mae, folder / "mae.safetensors")
        provenance["mae"] = recipe_card(arguments.mae)
        facts["mae"] = {"file": "mae.safetensors", "config": MAE_CONFIG}
    if arguments.unet:
        weights = arguments.unet / "diffusion_pytorch_model.safetensors"
        copy_fp16(weights, folder / "unet.safetensors")
        provenance["unet"] = recipe_card(weights)
        config = json.loads((arguments.unet / "config.json").read_text(encoding="utf-8"))
        config = {key: value for key, value in config.items() if not key.startswith("_") and value is not None}
        facts["unet"] = {"file": "unet.safetensors", "unconditional": 2, "config": config}
    for entry in arguments.classifier:
        name, file = entry.split("=", 1)
        form = network_form(Path(file))
        bare = form["architecture"] == "half-resnet18"
        copy_fp16(Path(file), folder / f"{name}.safetensors", prefix="network." if bare else "")
        provenance[name] = recipe_card(Path(file))
        facts.setdefault("classifiers", {})[name] = {"file": f"{name}.safetensors"} | form
    write_blanks(folder, facts)
    write_facts(folder, facts)


def read_facts(folder: Path) -> dict:
    """bundle.json of a folder, or what every bundle starts from."""
    path = folder / "bundle.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else dict(TASKS[folder.name])


def write_facts(folder: Path, facts: dict) -> None:
    """Write bundle.json with the SHA-256 of every file beside it that the bundle loads."""
    loaded = sorted(
        path for path in folder.iterdir() if path.suffix == ".safetensors" or path.name == facts.get("calibration")
    )
    facts = facts | {"files": {path.name: file_sha256(path) for path in loaded}}
    (folder / "bundle.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def copy_fp16(source: Path, target: Path, prefix: str = "") -> None:
    """Copy weights as fp16, naming them as our module does (`prefix` is added where it is missing)."""
    weights = load_file(source)
    named = {key if key.startswith(prefix) else prefix + key: value for key, value in weights.items()}
    save_file({key: half(value) for key, value in named.items()}, target)


def recipe_card(weights: Path) -> dict:
    """The card that a recipe wrote beside its weights; empty where there is none."""
    path = weights.with_suffix(".json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def network_form(weights: Path) -> dict:
    """How a recipe says that its network is built and who sits in it; the half-width ResNet where it says nothing."""
    path = weights.with_suffix(".form.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"architecture": "half-resnet18"}


def half(value: torch.Tensor) -> torch.Tensor:
    """Floating point → fp16; integers (a batch counter, say) as they are."""
    return value.half().contiguous() if value.is_floating_point() else value.contiguous()


def write_blanks(folder: Path, facts: dict) -> None:
    """Give a fresh bundle what loading it asks for, until calibrate.py has measured it; classifiers alone need none."""
    if "calibration" not in facts:
        return
    facts.setdefault("limits", {})
    if not (folder / facts["calibration"]).is_file():
        (folder / facts["calibration"]).write_text("{}", encoding="utf-8")
    if not (folder / facts["content"]).is_file():
        width = 2 * MAE_CONFIG["width"]
        shapes = {"centre": (width,), "projection": (width, 1), "references": (1, 1)}
        shapes |= {"amv_weight": (width,), "amv_bias": ()}
        save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / facts["content"])


if __name__ == "__main__":
    main()
