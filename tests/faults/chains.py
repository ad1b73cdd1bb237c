"""Small networks for tests of faults, some of them solved by hand."""

import torch
from torch import Tensor, nn

from core.models.experts import MixtureOfExperts
from core.models.stages import Stage


class Signs(nn.Module):
    """Four pixels, two classes: logits 1 · (sum of pixels − 2) and −1 times that. A chain of two linear stages."""

    def __init__(self):
        super().__init__()
        self.sum = nn.Linear(4, 1)
        self.head = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.sum.weight.fill_(1.0)
            self.sum.bias.fill_(-2.0)
            self.head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        self.runs: list[str] = []

    def forward(self, pixels: Tensor) -> Tensor:
        for stage in self.stages():
            pixels = stage.run(pixels)
        return pixels

    def stages(self) -> tuple[Stage, ...]:
        return Stage("sum", ("sum",), self._add), Stage("answer", ("head",), self._answer)

    def _add(self, pixels: Tensor) -> Tensor:
        self.runs.append("sum")
        return self.sum(pixels.flatten(1))

    def _answer(self, total: Tensor) -> Tensor:
        self.runs.append("answer")
        return self.head(total)


class Layered(nn.Module):
    """A convolution with BatchNorm, a token mixer with a bare parameter and a buffer, and a head; 1 × 8 × 8 pixels."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4)
        self.mixer = nn.Parameter(torch.empty(16, 16))
        self.register_buffer("positions", torch.empty(16))
        self.head = nn.Linear(4, classes)
        numbers = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for tensor in self.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.randn(tensor.shape, generator=numbers))
            self.norm.running_var.abs_().add_(0.1)
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self._answer(self._mix(self._look(pixels)))

    def stages(self) -> tuple[Stage, ...]:
        look = Stage("look", ("convolution", "norm"), self._look)
        return look, Stage("mix", ("mixer", "positions"), self._mix), Stage("head", ("head",), self._answer)

    def _look(self, pixels: Tensor) -> Tensor:
        return self.norm(self.convolution(pixels)).tanh()

    def _mix(self, maps: Tensor) -> Tensor:
        return (maps.flatten(2) + self.positions) @ self.mixer

    def _answer(self, tokens: Tensor) -> Tensor:
        return self.head(tokens.tanh().mean(2))


def halves() -> tuple[Tensor, Tensor]:
    """Four images for `Signs`, with its own answers: sums 0, 4, 0, 4, hence labels 1, 0, 1, 0."""
    pixels = torch.zeros(4, 1, 2, 2)
    pixels[1::2] = 1.0
    return pixels, torch.tensor([1, 0, 1, 0])


def images(count: int = 6) -> Tensor:
    """(count, 1, 8, 8) pixels for `Layered`."""
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(5))


def mixture() -> MixtureOfExperts:
    """Two experts, chains both, and a gate that is none."""
    first, second = Layered(), Layered()
    second.head.weight.neg_()
    gate = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        gate[1].weight.copy_(torch.linspace(-1, 1, 128).reshape(2, 64))
        gate[1].bias.zero_()
    return MixtureOfExperts([first, second], gate).eval().requires_grad_(False)
