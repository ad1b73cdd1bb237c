"""DP-SGD (Abadi et al. 2016, algorithm 1): steps that hang on any one scan no more than noise hides."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from core.federation.averaging import ClientSettings, Update
from core.federation.privacy import Privacy, normal_noise

AT_ONCE = 8
"""Scans whose gradients are held at a time: each is as large as the network."""

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


class _Losing(nn.Module):
    """A network with its loss as one module, so that the loss can be asked about other weights."""

    def __init__(self, network: nn.Module, loss: Loss):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, pixels: Tensor, label: Tensor) -> Tensor:
        """() the loss of one scan, (C, H, W), and its label, ()."""
        return self.loss(self.network, pixels[None], label[None])


def sampling_rate(batch: int, count: int) -> float:
    """The chance of each of `count` scans to be in a step, so that `batch` of them are expected."""
    return min(1.0, batch / count)


def private_update(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    settings: ClientSettings,
    privacy: Privacy,
    random: np.random.Generator,
    loss: Loss,
) -> Update:
    """Train a copy of `network` as `client_update` does, but privately.

    BatchNorm's statistics stay as they came: those of a batch hang on every scan in it, and no clip bounds that.

    Parameters
    ----------
    network, pixels, labels, settings, loss
        As of `client_update`; the loss is asked about one scan at a time.
    privacy : Privacy
        How long a scan's gradient may be, and how much noise is added.
    random : Generator
        Draws batches and noise, so nobody outside may know its state.
    """
    network = copy.deepcopy(network).eval()
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.SGD(
        trained.values(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    rate = sampling_rate(settings.batch, len(labels))
    sigma, expected = privacy.noise * privacy.clip, rate * len(labels)
    for _ in range(settings.steps):
        chosen = torch.from_numpy(random.random(len(labels)) < rate).to(labels.device)
        total = clipped_sum(network, pixels[chosen], labels[chosen], privacy.clip, loss)
        for name, weight in trained.items():
            weight.grad = (total[name] + normal_noise(weight, sigma, random)) / expected
        optimizer.step()
    return Update({name: value.detach() for name, value in network.state_dict().items()}, len(labels))


def clipped_sum(network: nn.Module, pixels: Tensor, labels: Tensor, clip: float, loss: Loss) -> dict[str, Tensor]:
    """The sum of each scan's own gradient, none longer than `clip`: one scan more or less moves it by no more.

    Parameters
    ----------
    network : Module
        In eval mode; what requires no gradient isn't among the result.
    pixels, labels : Tensor
        (N, C, H, W) and (N,); N may be 0.
    clip : float
        Largest norm of all of a scan's gradient together.
    """
    losing = _Losing(network, loss)
    weights = {name: each.detach() for name, each in losing.named_parameters() if each.requires_grad}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    each = vmap(grad(lambda own, scan, label: functional_call(losing, own, (scan, label))), in_dims=(None, 0, 0))
    for some, theirs in zip(pixels.split(AT_ONCE), labels.split(AT_ONCE)):
        if not len(theirs):
            continue
        # A gradient without end can't be scaled down: the scan counts for nothing.
        found = {name: value.nan_to_num(0.0, 0.0, 0.0) for name, value in each(weights, some, theirs).items()}
        norms = torch.stack([value.flatten(1).double().square().sum(1) for value in found.values()]).sum(0).sqrt()
        shares = (clip / norms).clamp(max=1.0)
        for name, value in found.items():
            total[name] += torch.tensordot(shares.to(value), value, dims=1)
    return {name.removeprefix("network."): value for name, value in total.items()}
