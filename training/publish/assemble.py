"""Put trained components into weights/<bundle>/ as fp16 and write down what they are; calibrating adds the rest.

python -m training.publish.assemble --mae FILE --unet FOLDER --classifier resnet18=FILE
python -m training.publish.assemble --bundle blood-cells --classifier mamba=FILE
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from core.bundles import WEIGHTS
from training.files import read_facts, write_facts
from training.options import command_options
from training.recipes.cards import network_form, recipe_card
from training.recipes.mae import CONFIG
from training.recipes.weights import half
from training.tasks import BRAIN_MRI, TASKS


def main() -> None:
    parser = command_options(__doc__)
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BRAIN_MRI["name"])
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
        facts["mae"] = {"file": "mae.safetensors", "config": CONFIG}
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


def copy_fp16(source: Path, target: Path, prefix: str = "") -> None:
    """Copy weights as fp16, naming them as our module does (`prefix` is added where it is missing)."""
    weights = load_file(source)
    named = {key if key.startswith(prefix) else prefix + key: value for key, value in weights.items()}
    save_file({key: half(value) for key, value in named.items()}, target)


def write_blanks(folder: Path, facts: dict) -> None:
    """Give a fresh bundle what loading it asks for until it is calibrated; classifiers alone need none."""
    if "calibration" not in facts:
        return
    facts.setdefault("limits", {})
    if not (folder / facts["calibration"]).is_file():
        (folder / facts["calibration"]).write_text("{}", encoding="utf-8")
    if not (folder / facts["content"]).is_file():
        width = 2 * CONFIG["width"]
        shapes = {"centre": (width,), "projection": (width, 1), "references": (1, 1)}
        shapes |= {"amv_weight": (width,), "amv_bias": ()}
        save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / facts["content"])


if __name__ == "__main__":
    main()
