"""Where a classifier looked: which parts of a scan its answer rests on.

Every method here asks about the log odds of one class, since unlike its probability they don't saturate. Gradients are
taken with respect to the pixels or the feature maps alone, through the networks' own forward: no hook is set and no
parameter touched on networks that visitors share.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion
from torch import Tensor, nn
from torch.nn import functional

from core import compute
from core.models.experts import MixtureOfExperts, combine

WINDOW = 16
STRIDE = 8
AT_ONCE = 32

PATH_STEPS = 32
NOISE = 0.1  # of the range of the pixels; the paper advises 10 % to 20 %
NOISY_COPIES = 32


class Method(NamedTuple):
    """A way to attribute an answer to pixels: its title, its paper, and whether it also says what spoke against."""

    title: str
    source: str
    signed: bool


METHODS = {
    "grad-cam": Method("Grad-CAM", "Selvaraju et al. 2017", False),
    "integrated-gradients": Method("Integrated Gradients", "Sundararajan et al. 2017", True),
    "smoothgrad": Method("SmoothGrad", "Smilkov et al. 2017", False),
    "occlusion": Method("Occlusion", "Zeiler & Fergus 2014", True),
}


@dataclass(frozen=True)
class AttributionStep:
    """One expert of a mixture was asked: index from 0, count of experts, map (H, W) float32 of those asked so far."""

    index: int
    count: int
    map: np.ndarray


class _Part(NamedTuple):
    """One network, and how much its log odds of `label` count: `weight` takes (B, C, H, W) pixels to (B,)."""

    network: Callable[[Tensor], Tensor]
    label: int
    weight: Callable[[Tensor], Tensor]

    def value(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels → (B,), what is attributed."""
        return self.weight(pixels) * log_odds(self.network(pixels), self.label)


def attribution(
    pixels: np.ndarray, network: nn.Module, method: str, *, label: int | None = None, seed: int = 0
) -> np.ndarray:
    """How much each pixel counts for the log odds of one class.

    - ``grad-cam``: the feature maps, weighted by their mean gradients; what speaks against is cut off (Selvaraju
      et al. 2017, eq. 1 and 2). As coarse as these maps are, and drawn out bilinearly.
    - ``integrated-gradients``: gradients along the straight path from a black image, times the pixels (Sundararajan et
      al. 2017, eq. 1), at 32 points; they sum to the difference of the log odds. Black pixels get nothing.
    - ``smoothgrad``: the gradient, averaged over 32 copies with Gaussian noise of 0.1 (Smilkov et al. 2017, section 3);
      its magnitude, as a gradient's sign only says whether a brighter or a darker pixel would help.
    - ``occlusion``: what is lost on average while a black square of 16 × 16 covers the pixel (Zeiler & Fergus 2014,
      section 4), in steps of 8; negative where covering helps.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1].
    network : Module
        (B, C, H, W) → (B, classes) logits; for Grad-CAM also with `feature_maps` and `classify`, as
        `core.models.resnet.NarrowResNet18` has them.
    method : str
        One of `METHODS`.
    label : int, optional
        The class; by default the network's own answer.
    seed : int
        Of SmoothGrad's noise; the other methods draw nothing.

    Returns
    -------
    ndarray
        (H, W) float32, negative only for a method that is signed. In log odds for Integrated Gradients (summed over
        channels) and Occlusion (of all channels at once); log odds a pixel unit for SmoothGrad (the largest of the
        channels); without a unit for Grad-CAM, to be compared within one network alone.

    Raises
    ------
    ValueError
        No such method or class, the network has no feature maps, or the pixels have another shape; one sentence.
    """
    batch = _batch(pixels, method)
    with torch.no_grad():
        label = _label(network(batch), label)
    return _drawn(method, _asked(method, _Part(network, label, _fully), batch, seed), pixels.shape[1:])


def attribution_steps(
    pixels: np.ndarray,
    mixture: MixtureOfExperts,
    method: str,
    *,
    label: int | None = None,
    seed: int = 0,
    weights: Sequence[float] | np.ndarray | Tensor | None = None,
) -> Iterator[AttributionStep]:
    """`attribution` of a whole mixture, one expert a step.

    What is attributed is the sum over experts of gate weight times log odds, with the gate itself differentiated (or
    covered) where it listens to the pixels. Each of these methods is additive before it is drawn, so that the sum over
    experts is the attribution of the sum and nothing is approximated. With two classes the sum is the mixture's own log
    odds; with more it is the mean of the experts' log odds that the gate weighs, as those of mixed logits don't split
    up. The feature maps of Grad-CAM don't reach the gate, so its map is the weighted sum of the experts', and what
    speaks against is cut off once, from the sum.

    Parameters
    ----------
    pixels, method, seed
        As for `attribution`.
    label : int, optional
        The class; by default the mixture's own answer, under `weights` where they are given.
    weights : (K,), optional
        Hold the gate at these weights, as `core.models.experts.without` returns them where experts are off. A hard
        gate is held at its choice for each image that is asked; where that choice changes, Integrated Gradients don't
        sum to the difference of the log odds.

    Yields
    ------
    AttributionStep
        K of them; the last one's `map` is the result.

    Raises
    ------
    ValueError
        As for `attribution`, or not one weight an expert; one sentence.
    """
    batch, count = _batch(pixels, method), len(mixture.experts)
    with torch.no_grad():
        opinions = mixture.opinions(batch)
        held = None if weights is None else _held(weights, opinions.weights)
        label = _label(opinions.combined if held is None else combine(held, opinions.logits), label)
    parts = [_Part(expert, label, _gate(mixture, index, held)) for index, expert in enumerate(mixture.experts)]
    for index, total in enumerate(accumulate(_asked(method, part, batch, seed) for part in parts)):
        yield AttributionStep(index, count, _drawn(method, total, pixels.shape[1:]))


def saliency(pixels: np.ndarray, classifier: nn.Module) -> np.ndarray:
    """How much the classifier's own answer loses where a part of the scan is covered (Zeiler & Fergus 2014, section 4).

    A black square of 16 × 16 pixels is moved over the scan in steps of 8. Unlike a gradient it asks about changes that
    one can see, and it sets no hook on a network that visitors share.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1], at least 16 × 16 pixels.
    classifier : Module
        (B, C, H, W) → (B, classes) logits.

    Returns
    -------
    ndarray
        (rows, columns), one value for 8 × 8 pixels, not negative: log odds of the answer that are lost on average while
        they are covered; 0 where covering them makes the answer surer.

    Raises
    ------
    ValueError
        The pixels have another shape; one sentence.
    """
    return attribution(pixels, classifier, "occlusion")[::STRIDE, ::STRIDE].clip(min=0)


def log_odds(logits: Tensor, label: int) -> Tensor:
    """(B, classes) logits → (B,) log odds of one class: unlike its probability they don't saturate."""
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1)
    return logits[:, label] - others.logsumexp(1)


def _batch(pixels: np.ndarray, method: str) -> Tensor:
    if method not in METHODS:
        raise ValueError(f"There is no explanation named {method!r}; choose one of: {', '.join(METHODS)}.")
    least = WINDOW if method == "occlusion" else 1
    if pixels.ndim != 3 or min(pixels.shape[1:]) < least:
        title = METHODS[method].title
        raise ValueError(f"{title} needs pixels (C, H, W) of at least {least} × {least}, not {pixels.shape}.")
    return torch.from_numpy(pixels).unsqueeze(0).to(compute.device())


def _label(logits: Tensor, label: int | None) -> int:
    if label is None:
        return int(logits.argmax(1))
    if not 0 <= label < logits.shape[1]:
        raise ValueError(f"The class must be between 0 and {logits.shape[1] - 1}, not {label}.")
    return label


def _held(weights: Sequence[float] | np.ndarray | Tensor, gate: Tensor) -> Tensor:
    """(K,) of any kind → (1, K) like the gate's own."""
    held = torch.as_tensor(weights, dtype=gate.dtype, device=gate.device).detach().reshape(1, -1)
    if held.shape != gate.shape:
        raise ValueError(f"The mixture has {gate.shape[1]} experts, not {held.shape[1]}; give one weight for each.")
    return held


def _gate(mixture: MixtureOfExperts, index: int, held: Tensor | None) -> Callable[[Tensor], Tensor]:
    """How much one expert counts, as a function of the pixels."""
    if held is not None:
        return lambda _: held[:, index]
    if mixture.hard:  # its gradient is that of the soft weights, which helps to train it but isn't its own
        return lambda pixels: mixture.weights(pixels)[:, index].detach()
    return lambda pixels: mixture.weights(pixels)[:, index]


def _fully(pixels: Tensor) -> Tensor:
    return pixels.new_ones(len(pixels))


def _asked(method: str, part: _Part, batch: Tensor, seed: int) -> Tensor:
    """One part's attribution for a batch of one, as it may be added to that of other parts; (1, ...)."""
    if method == "grad-cam":
        return _grad_cam(part, batch)
    if method == "integrated-gradients":
        return IntegratedGradients(part.value).attribute(batch, n_steps=PATH_STEPS)
    return _smooth_gradient(part, batch, seed) if method == "smoothgrad" else _occlusion(part, batch)


def _grad_cam(part: _Part, batch: Tensor) -> Tensor:
    """(1, h, w): the feature maps, weighted by their mean gradients; the mean of both sides where both are asked."""
    if not (hasattr(part.network, "feature_maps") and hasattr(part.network, "classify")):
        raise ValueError("Grad-CAM needs a network with feature maps; ask for the experts of a mixture one by one.")
    if not getattr(part.network, "mirrored", False):
        return _cam(part, part.network, batch)
    return (_cam(part, part.network, batch) + _cam(part, part.network, batch.flip(-1)).flip(-1)) / 2


def _cam(part: _Part, network: Any, batch: Tensor) -> Tensor:
    """(1, h, w): the same of a scan as it is."""
    with torch.no_grad():
        maps, weight = network.feature_maps(batch), part.weight(batch)
    with torch.enable_grad():
        maps = maps.detach().requires_grad_()
        slopes = torch.autograd.grad(log_odds(network.classify(maps), part.label).sum(), maps)[0]
    return weight * (slopes.mean((2, 3), keepdim=True) * maps.detach()).sum(1)


def _smooth_gradient(part: _Part, batch: Tensor, seed: int) -> Tensor:
    """(1, C, H, W): the mean gradient over noisy copies. captum's NoiseTunnel can only draw from the global generator.

    Every part sees the same copies, so that the sum over parts is that of one network.
    """
    noise = torch.randn(NOISY_COPIES, *batch.shape[1:], generator=torch.Generator().manual_seed(seed))
    with torch.enable_grad():
        noisy = (batch + NOISE * noise.to(batch.device)).requires_grad_()
        return torch.autograd.grad(part.value(noisy).sum(), noisy)[0].mean(0, keepdim=True)


@torch.no_grad()
def _occlusion(part: _Part, batch: Tensor) -> Tensor:
    """(1, C, H, W): what is lost on average while a pixel is covered, the same in every channel."""
    return Occlusion(part.value).attribute(
        batch,
        sliding_window_shapes=(batch.shape[1], WINDOW, WINDOW),
        strides=(batch.shape[1], STRIDE, STRIDE),
        perturbations_per_eval=AT_ONCE,
    )


def _drawn(method: str, total: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """What `_asked` returned, summed over parts → (H, W)."""
    if method == "grad-cam":
        drawn = functional.interpolate(total.clamp(min=0).unsqueeze(1), shape, mode="bilinear", align_corners=False)[0]
        return drawn[0].cpu().numpy()
    if method == "smoothgrad":
        return total[0].abs().amax(0).cpu().numpy()
    return (total[0].sum(0) if method == "integrated-gradients" else total[0].mean(0)).cpu().numpy()
