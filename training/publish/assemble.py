"""Put trained components into weights/<bundle>/ as fp16 and write down what they are; calibrating adds the rest.

python -m training.publish.assemble --mae FILE --unet FILE --classifier resnet18=FILE
python -m training.publish.assemble --classifier robust=FILE --answers-purified resnet18=robust
python -m training.publish.assemble --classifier hardened=FILE --hardened hardened --mirrored hardened
python -m training.publish.assemble --bundle blood-cells --classifier mamba=FILE
python -m training.publish.assemble --mask-dit FILE
python -m training.publish.assemble --robust-mae FILE --robust-mask-dit FILE

Of a robust network what it changed of the one that it was made of is kept, in eight bits a weight, beside the SHA-256
of that; of a mixture, once what all its experts share.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from core.bundles import MADE_OF, WEIGHTS, file_sha256
from core.bundles.policies import HARDENED
from core.models.changes import changes_between
from core.models.experts import shared_once
from training.files import read_facts, write_facts
from training.options import command_options
from training.recipes.cards import network_form, recipe_card
from training.recipes.mae import CONFIGS
from training.recipes.weights import half
from training.tasks import BRAIN_MRI, TASKS

# What calibration writes; a bundle names it as soon as it holds both networks of a defence.
CALIBRATED = {"content": "content.safetensors", "calibration": "calibration.json"}


def main() -> None:
    parser = command_options(__doc__)
    parser.add_argument("--bundle", choices=sorted(TASKS), default=BRAIN_MRI["name"])
    parser.add_argument("--mae", type=Path)
    parser.add_argument("--unet", type=Path)
    parser.add_argument("--mask-dit", type=Path)
    parser.add_argument("--robust-mae", type=Path)
    parser.add_argument("--robust-mask-dit", type=Path)
    parser.add_argument("--classifier", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument(
        "--answers-purified",
        action="append",
        default=[],
        metavar="NAME=OTHER",
        help="on scans that are purified for NAME, the classifier OTHER answers",
    )
    parser.add_argument("--hardened", metavar="NAME", help="the classifier that answers under the hardened policy")
    parser.add_argument(
        "--mirrored", action="append", default=[], metavar="NAME", help="it answers on the mirror image as well"
    )
    parser.add_argument("--acquisition", type=Path, help="tells plane and sequence")
    arguments = parser.parse_args()
    folder = WEIGHTS / arguments.bundle
    folder.mkdir(parents=True, exist_ok=True)
    facts = read_facts(folder)
    for name, base in MADE_OF.items():
        if getattr(arguments, base) and name in facts and not getattr(arguments, name):
            option = name.replace("_", "-")
            parser.error(f"{folder.name} holds a {name} that was made of the {base} in force; give --{option} as well.")
    provenance = facts.setdefault("provenance", {})
    for name in ("mae", "unet", "mask_dit"):
        if file := getattr(arguments, name):
            copy_fp16(file, folder / f"{name}.safetensors")
            provenance[name] = recipe_card(file)
            facts[name] = {"file": f"{name}.safetensors"} | network_form(file)
    for name, base in MADE_OF.items():
        if file := getattr(arguments, name):
            source = folder / f"{base}.safetensors"
            copy_changed(file, source, folder / f"{name}.safetensors")
            provenance[name] = recipe_card(file)
            facts[name] = {"file": f"{name}.safetensors", "of": file_sha256(source)}
    if arguments.acquisition:
        copy_fp16(arguments.acquisition, folder / "acquisition.safetensors")
        provenance["acquisition"] = recipe_card(arguments.acquisition)
        least = provenance["acquisition"]["metrics"]["least"]
        facts["acquisition"] = {"file": "acquisition.safetensors", "least": least}
        facts |= {key: TASKS[arguments.bundle][key] for key in ("planes", "sequences")}
    for entry in arguments.classifier:
        name, file = entry.split("=", 1)
        form = network_form(Path(file))
        bare = form["architecture"] == "half-resnet18"
        copy_fp16(Path(file), folder / f"{name}.safetensors", prefix="network." if bare else "")
        provenance[name] = recipe_card(Path(file))
        known = facts.setdefault("classifiers", {})
        kept = {key: value for key, value in known.get(name, {}).items() if key == "robust"}
        known[name] = {"file": f"{name}.safetensors"} | form | kept
    if known := facts.get("classifiers"):
        # A bundle may be put together in steps: until the task's own is there, another answers.
        wanted = TASKS[arguments.bundle]["default_classifier"]
        facts["default_classifier"] = wanted if wanted in known else next(iter(known))
    for entry in arguments.answers_purified:
        name, other = entry.split("=", 1)
        facts["classifiers"][name]["robust"] = other
    for name in arguments.mirrored:
        entry = facts["classifiers"][name]
        entry["config"] = entry.get("config", {}) | {"mirrored": True}
    if arguments.hardened:
        facts[HARDENED] = arguments.hardened
    if {"mae", "unet"} <= facts.keys():
        facts |= CALIBRATED
    write_blanks(folder, facts)
    write_facts(folder, facts)


def copy_fp16(source: Path, target: Path, prefix: str = "") -> None:
    """Copy weights as fp16, naming them as our module does (`prefix` is added where it is missing)."""
    weights = load_file(source)
    named = {key if key.startswith(prefix) else prefix + key: value for key, value in weights.items()}
    save_file(shared_once({key: half(value) for key, value in named.items()}), target)


def copy_changed(source: Path, base: Path, target: Path) -> None:
    """Copy what was changed of a network of the same form in the bundle."""
    if not base.is_file():
        raise SystemExit(f"The bundle holds no {base.name}, which {source.name} was made of; assemble that first.")
    known, made = load_file(base), load_file(source)
    if {name: value.shape for name, value in made.items()} != {name: value.shape for name, value in known.items()}:
        raise SystemExit(f"{source.name} is no network of the form of {base.name}; give one that was made of it.")
    save_file(changes_between(known, made), target)


def write_blanks(folder: Path, facts: dict) -> None:
    """Give a fresh bundle what loading it asks for until it is calibrated; classifiers alone need none."""
    if "calibration" not in facts:
        return
    facts.setdefault("limits", {})
    if not (folder / facts["calibration"]).is_file():
        (folder / facts["calibration"]).write_text("{}", encoding="utf-8")
    if not (folder / facts["content"]).is_file():
        width = 2 * CONFIGS[facts["name"]]["width"]
        shapes = {"centre": (width,), "projection": (width, 1), "references": (1, 1)}
        shapes |= {"amv_weight": (width,), "amv_bias": ()}
        save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, folder / facts["content"])


if __name__ == "__main__":
    main()
