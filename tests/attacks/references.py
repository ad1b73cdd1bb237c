"""The libraries that our attacks are compared with: foolbox, and AutoAttack as its authors wrote it."""

import os
from collections.abc import Callable
from typing import Any

# foolbox loads GitPython for its model zoo, which refuses to be imported where there is no git program.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import foolbox
import torch
from torch import Tensor, nn

from tests.attacks.tiny import make_bent, numbers


class AsModule(nn.Module):
    """A function as the module that the libraries ask for; it notes in `asked` what it is asked about."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.asked = function, []
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        self.asked.append(pixels.detach().clone())
        return self.function(pixels)


def foolbox_model(model: Callable[[Tensor], Tensor]) -> foolbox.PyTorchModel:
    """The model as foolbox takes it."""
    return foolbox.PyTorchModel(AsModule(model), bounds=(0, 1), device="cpu")


def foolbox_run(
    attack: str, model: Callable[[Tensor], Tensor], pixels: Tensor, labels: Tensor, target: int | None, **settings: Any
) -> tuple[Tensor, Tensor]:
    """What one of foolbox's attacks that look for the smallest perturbation ends with, and (B,) where it found one."""
    wanted = foolbox.Misclassification(labels)
    if target is not None:
        wanted = foolbox.TargetedMisclassification(torch.full_like(labels, target))
    attacked = getattr(foolbox.attacks, attack)(**settings).run(foolbox_model(model), pixels, wanted)
    return attacked, attacked.flatten(1).amax(1) > 0  # a black image stands for none


def conv_net(classes: int) -> nn.Module:
    """A small network with kinks, of random weights, on 8 × 8 pixels; its logits are 0 on a grey image."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, classes)
        )
    layers.eval().requires_grad_(False)
    layers[-1].weight.mul_(4)
    layers[-1].bias.sub_(layers(torch.full((1, 1, 8, 8), 0.5))[0])
    return layers


def small_cases() -> dict[str, tuple[Callable[[Tensor], Tensor], Tensor, Tensor]]:
    """Name → a small model, images of 8 × 8 pixels, and the model's own answers."""
    models = {"bent, 2 classes": make_bent(2), "bent, 5 classes": make_bent(5), "kinked, 3 classes": conv_net(3)}
    pixels = torch.rand(6, 1, 8, 8, generator=numbers(3))
    return {name: (model, pixels, model(pixels).argmax(1)) for name, model in models.items()}
