"""The gradients that a client shares, what is done to them on the way, and what they tell by themselves."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core.faults.sites import private_copy

Gradients = Mapping[str, Tensor]


def shared_gradient(network: nn.Module, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What a hospital sends after looking at its scans once: the gradient of the mean cross-entropy.

    Parameters
    ----------
    network : Module
        Left as it is; the gradient is that of a copy in eval mode.
    pixels, labels : Tensor
        (B, C, H, W) in [0, 1] and (B,).

    Returns
    -------
    dict of str to Tensor
        Name of a parameter → gradient, without the parameters that the answer doesn't depend on.
    """
    private = private_copy(network).requires_grad_()
    with torch.enable_grad():
        gradients = gradients_of(private, pixels, labels)
    return {name: value.detach() for name, value in gradients.items()}


def rounded(gradients: Gradients) -> dict[str, Tensor]:
    """The gradients as float16 sends them: numbers under 6e-8 become 0."""
    return {name: value.half().to(value.dtype) for name, value in gradients.items()}


def with_noise(gradients: Gradients, multiplier: float, generator: torch.Generator) -> dict[str, Tensor]:
    """The gradients as differentially private training sends them (Abadi et al. 2016, algorithm 1).

    Clipping bounds the norm of all gradients together, so noise is counted in that norm: every number gets N(0, σ²)
    with σ = multiplier · norm. Clipping itself only scales, which hides nothing here.

    Parameters
    ----------
    gradients : mapping of str to Tensor
        As `shared_gradient` returns them.
    multiplier : float
        At least 0; about 1 in use.
    generator : Generator
        On the CPU.
    """
    if not multiplier >= 0:
        raise ValueError(f"The noise multiplier must be at least 0, not {multiplier:g}.")
    sigma = multiplier * math.sqrt(sum(float(value.square().sum()) for value in gradients.values()))
    return {
        name: value + sigma * torch.randn(value.shape, generator=generator).to(value)
        for name, value in gradients.items()
    }


def leaked_label(gradients: Gradients) -> int:
    """The label of a single scan, from the gradient of the last bias (iDLG, Zhao et al. 2020, section 3.1).

    That gradient is p − y, so it is negative for the label and for no other class.
    """
    biases = [name for name in gradients if name.endswith("bias")]
    if not biases:
        raise ValueError("No bias is among the gradients, so the label can't be read from them; give all gradients.")
    return int(gradients[biases[-1]].argmin())


def gradients_of(network: nn.Module, pixels: Tensor, labels: Tensor, create_graph: bool = False) -> dict[str, Tensor]:
    """Parameter → gradient of the mean cross-entropy, of the parameters that the logits depend on."""
    parameters = dict(network.named_parameters())
    loss = cross_entropy(network(pixels), labels)
    found = torch.autograd.grad(loss, list(parameters.values()), create_graph=create_graph, allow_unused=True)
    return {name: value for name, value in zip(parameters, found) if value is not None}
