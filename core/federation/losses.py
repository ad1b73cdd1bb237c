"""What hospitals descend: an expert's loss, and that of the gate over all experts."""

from contextlib import nullcontext

from torch import Tensor, nn
from torch.nn import functional

from core.compute import fast_autocast
from core.models.experts import MixtureOfExperts

SMOOTHING = 0.05
ENTROPY = 0.01


def expert_loss(network: nn.Module, pixels: Tensor, labels: Tensor, exact: bool = False) -> Tensor:
    """() the cross-entropy with smoothed labels; exact: in float32 whatever the hardware does faster."""
    with nullcontext() if exact else fast_autocast():
        logits = network(pixels)
    return functional.cross_entropy(logits.float(), labels, label_smoothing=SMOOTHING)


def gate_loss(network: MixtureOfExperts, pixels: Tensor, labels: Tensor, exact: bool = False) -> Tensor:
    """() the mixture's cross-entropy, less a share of its gate's mean entropy, so that no expert falls silent.

    Labels aren't smoothed: smoothing rewards an even mixture, and then the gate says little. exact: as `expert_loss`.
    """
    with nullcontext() if exact else fast_autocast():
        weights, _, combined = network.opinions(pixels)
    entropy = -(weights.float() * weights.float().clamp_min(1e-8).log()).sum(1).mean()
    return functional.cross_entropy(combined.float(), labels) - ENTROPY * entropy
