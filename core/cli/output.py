"""How commands print: JSON as it is declared, warnings and progress on standard error."""

import json
import sys
from typing import Any

import torch
from tqdm import tqdm

from core import compute
from core.bundles import Bundle
from core.cli.schema import checked


def print_json(command: str, answer: Any) -> None:
    """Print a command's answer as `core.cli.schema` declares it."""
    print(json.dumps(checked(command, answer), indent=1, ensure_ascii=False))


def progress_bar(total: int, unit: str) -> tqdm:
    """A bar on standard error where that is a terminal."""
    return tqdm(total=total, unit=unit, disable=not sys.stderr.isatty())


def warn_of_missing_models(bundle: Bundle, classifier: str | None) -> None:
    """Say once, beside the answers, what they are without."""
    if lacks := bundle.lacks_for(classifier):
        print(lacks, file=sys.stderr)


def label_of(bundle: Bundle, classifier: str, pixels: torch.Tensor) -> str:
    """The class that a classifier gives to (1, C, H, W) pixels in [0, 1]."""
    with torch.no_grad():
        return bundle.classes[bundle.classifiers[classifier](pixels.to(compute.device())).argmax(1).item()]
