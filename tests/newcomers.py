"""Classifiers of somebody's own: the smallest of two timm families, with random weights."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import nn

MOBILENET, CONVNEXT = "mobilenetv3_small_050", "convnext_atto"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def newcomer(model: str, classes: int, channels: int = 3) -> nn.Module:
    """A network that answers, as it would lie with whoever brings it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(model, num_classes=classes, in_chans=channels).eval()


def write_weights(path: Path, model: str, classes: int, channels: int = 3) -> Path:
    """Its state dict as a file; its path."""
    save_file(newcomer(model, classes, channels).state_dict(), path)
    return path


def words(name: str, model: str, weights: Path, classes: tuple[str, ...], *more: object) -> list[str]:
    """The command that adds it."""
    given = ["--timm", model, "--weights", weights, "--classes", ",".join(classes)]
    numbers = [",".join(map(str, values)) for values in (MEAN, STD)]
    return ["bundle", "add", name, *map(str, (*given, "--mean", numbers[0], "--std", numbers[1], *more))]
