"""What a recipe leaves beside its weights: a card of how they were made, and the form of the network."""

import argparse
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core import compute
from core.bundles import ARCHITECTURES, file_sha256
from core.models.experts import spread_out
from training.files import read_json
from training.recipes.weights import half, named_as


def write_result(
    network: nn.Module,
    name: str,
    options: argparse.Namespace,
    metrics: dict[str, Any],
    *,
    steps: int,
    minutes: float,
    history: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as fp16 into the recipe's folder, and the card beside it.

    `history` says what the weights began with and which command took which steps, where there was more than one run.
    """
    weights = {key: half(value.cpu()) for key, value in network.state_dict().items()}
    save_file(weights, options.out / f"{name}.safetensors")
    card = {
        "component": name,
        "command": command_line(),
        "data": " ".join(path.name for path in options.data),
        **({"left_out": options.leave_out} if options.leave_out else {}),
        "split": "trained on train, measured on val; no group of the data set is in both",
        **(history or {"started_from": started_from(options.init)}),
        "seed": options.seed,
        "commit": _commit(),
        "steps": steps,
        "minutes": round(minutes, 1),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})",
        "torch": torch.__version__,
        "metrics": metrics,
    }
    text = json.dumps(card, indent=1)
    (options.out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def write_form(weights: Path, form: Mapping[str, Any]) -> None:
    """Write how the network of a weights file is built, and who sits in it, beside that file."""
    form_file(weights).write_text(json.dumps(form, indent=1) + "\n", encoding="utf-8")


def network_form(weights: Path) -> dict[str, Any]:
    """Return what `write_form` wrote for a weights file; the half-width ResNet where nothing was written."""
    return read_json(form_file(weights)) or {"architecture": "half-resnet18"}


def trained_classifier(weights: Path, channels: int, class_count: int) -> nn.Module:
    """Return a classifier as its recipe or a bundle left it, ready to answer."""
    form = network_form(weights)
    network = ARCHITECTURES[form["architecture"]](channels, class_count, **form.get("config", {}))
    network.load_state_dict(named_as(network, spread_out(load_file(weights), network.state_dict())))
    return network.to(compute.device()).to(memory_format=torch.channels_last).eval().requires_grad_(False)


def recipe_card(weights: Path) -> dict[str, Any]:
    """Return the card that a recipe wrote beside its weights; empty where there is none."""
    return read_json(weights.with_suffix(".json"))


def command_line() -> str:
    """Return the command as typed, with files and folders by their names: where they lay is nobody's business."""
    parts = Path(sys.argv[0]).with_suffix("").parts
    module = ".".join(parts[len(parts) - 1 - parts[::-1].index("training") :]) if "training" in parts else parts[-1]
    words = [Path(word).name if Path(word).is_file() or Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", module, *words])


def sitting(first: int, last: int) -> dict[str, Any]:
    """Return what is recorded of the steps that one command took."""
    return {"steps": [first, last], "command": command_line(), "commit": _commit()}


def started_from(init: Path | None) -> str:
    """Return what a card says of the weights that a run began with."""
    return f"{init.name}, SHA-256 {file_sha256(init)}" if init else "random weights"


def form_file(weights: Path) -> Path:
    """Return where a network's form lies, beside its weights."""
    return weights.with_suffix(".form.json")


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"
