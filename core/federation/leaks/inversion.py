"""Gradient inversion: the scan that a hospital trained on, recovered from the gradient that it shared.

A vision transformer gives its scan away in closed form (APRIL, Lu et al. 2022, section 3): the gradient of the learned
positions is the error signal δ of every token, the gradient of the patch embedding is Σ δ xᵀ over the same tokens, and
the patches x are what solves the one for the other. Other networks are searched for a scan whose gradient points the
same way (Geiping et al. 2020, section 4). A class token that was sent in plain is searched for in the same manner.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core.faults.sites import private_copy
from core.federation.leaks.gradients import Gradients, gradients_of, leaked_label
from core.fidelity.metrics import fidelity
from core.models.mae import unpatchify
from core.models.mamba import SelectiveScan2d
from core.models.resnet import PIXEL_MEAN, PIXEL_STD

POSITIONS, EMBEDDING = "pos_embed", "patch_embed.proj.weight"
DAMPINGS = tuple(10 ** (-power / 2) for power in range(33))  # 1 … 1e-16, of the largest squared singular value
CAUTION = 1.2  # how often a degree of freedom counts in cross-validation
DROPS = (3 / 8, 5 / 8, 7 / 8)  # of the iterations: the rate falls to a tenth (Geiping et al. 2020, appendix)


@dataclass(frozen=True)
class InversionStep:
    """One step of an inversion.

    index 0, 1, …; estimate (1, C, H, W) in [0, 1]; loss: what of the gradient the estimate leaves unexplained, 0 for
    nothing; seconds since the inversion began.
    """

    index: int
    estimate: Tensor
    loss: float
    seconds: float


class Quality(NamedTuple):
    """How much of a scan an estimate shows.

    psnr in dB, for a peak of 1; ssim at most 1; nmi from 0, nothing shared, to 1: 2 I / (H + H') of histograms of 64
    bins, since the paper's figure cannot be of the form from 1 to 2 that `core.fidelity.metrics` has.
    """

    psnr: float
    ssim: float
    nmi: float


PAPER = Quality(52.26, 0.999, 0.741)  # Amin et al. 2025, figure 3: mean over histology tiles


@dataclass(frozen=True)
class SearchSettings:
    """How a scan is searched for by gradient descent.

    Attributes
    ----------
    iterations : int
        Looks at the network.
    rate : float
        Step size of Adam, pixel units.
    smoothness : float
        Weight of the total variation, the mean absolute difference of neighbouring pixels.
    every : int
        Iterations from one step that is shown to the next.
    """

    iterations: int = 200
    rate: float = 0.03
    smoothness: float = 1.0
    every: int = 10

    def __post_init__(self):
        if min(self.iterations, self.every) < 1 or not self.rate > 0 or not self.smoothness >= 0:
            raise ValueError(
                "A search needs at least one iteration, a step shown at least every iteration, a rate above 0 and a "
                "smoothness of at least 0; change the settings."
            )


def invert_steps(
    network: nn.Module,
    gradients: Gradients,
    shape: Sequence[int],
    generator: torch.Generator,
    settings: SearchSettings | None = None,
    start: Tensor | None = None,
    label: int | None = None,
) -> Iterator[InversionStep]:
    """Recover a scan from a shared gradient: in closed form where positions are learned, else by a search.

    Parameters
    ----------
    network : Module
        What the gradient is of, which a federation's server knows; left as it is.
    gradients : mapping of str to Tensor
        As `shared_gradient` returns them.
    shape : sequence of int
        (C, H, W) of the scan.
    generator : Generator
        On the CPU; draws the start of a search, and is not used by the closed form.
    settings : SearchSettings, optional
        Of a search.
    start : Tensor, optional
        (1, C, H, W) in [0, 1] that a search begins with, such as the mean of other scans; uniform noise by default.
    label : int, optional
        Of the scan, where a search is told it; by default it is read from the gradient.

    Yields
    ------
    InversionStep
        The last one is the best.

    Raises
    ------
    ValueError
        The gradients are 0 throughout or hold infinite values, don't fit the shape, or are of a network that can't be
        differentiated twice; one sentence.
    """
    if not all(value.isfinite().all() for value in gradients.values()):
        raise ValueError("The gradients hold infinite values, so nothing can be recovered from them; share them again.")
    if {POSITIONS, EMBEDDING} <= set(gradients):
        return closed_form_steps(gradients[POSITIONS], gradients[EMBEDDING], shape)
    return match_steps(network, gradients, shape, generator, settings or SearchSettings(), start, label)


def closed_form_steps(positions: Tensor, embedding: Tensor, shape: Sequence[int]) -> Iterator[InversionStep]:
    """APRIL's closed form (Lu et al. 2022, section 3.2), less and less damped.

    With Δ (N, D) the gradient of the patches' positions and G (D, C·p·p) that of the embedding, X solves Δᵀ X = G.
    What is the same for all D numbers of a token is removed by LayerNorm, so Δ has rank D − 1 at most, and needs
    damping from N = D patches on. Tikhonov's damping is lowered to where generalised cross-validation (Golub et al.
    1979, the degrees of freedom counted 1.2 times against fitting noise: Kim & Gu 2004) finds that noise begins to be
    fitted, be it of rounding or added on purpose.

    Parameters
    ----------
    positions : Tensor
        (1, T, D), the T − N tokens before the patches first.
    embedding : Tensor
        (D, C, p, p).
    shape : sequence of int
        (C, H, W), square.
    """
    start = time.perf_counter()
    channels, height, width = shape
    patch = embedding.shape[-1]
    count = (height // patch) * (width // patch)
    if embedding.shape[1] != channels or height != width or height % patch or count > positions.shape[1]:
        raise ValueError(
            f"A scan of shape {tuple(shape)} doesn't fill the patches that these gradients are of; give its own shape."
        )
    errors = positions[0, -count:].double().cpu()  # (N, D)
    target = embedding.flatten(1).double().cpu()  # (D, C·p·p)
    _check_tells(errors, target)
    left, sizes, right = torch.linalg.svd(errors.T, full_matrices=False)
    coordinates = left.T @ target
    for index, (damping, loss) in enumerate(_dampings(sizes, coordinates, target)):
        filtered = sizes / (sizes.square() + damping * sizes[0].square())
        patches = right.T @ (filtered.unsqueeze(1) * coordinates)
        estimate = unpatchify(patches.unsqueeze(0), patch, channels) * PIXEL_STD + PIXEL_MEAN
        yield InversionStep(index, estimate.clamp(0, 1).float(), loss, time.perf_counter() - start)


def match_steps(
    network: nn.Module,
    gradients: Gradients,
    shape: Sequence[int],
    generator: torch.Generator,
    settings: SearchSettings,
    start: Tensor | None = None,
    label: int | None = None,
) -> Iterator[InversionStep]:
    """Search for a scan whose gradient points the way of the shared one (Geiping et al. 2020, equation 4).

    Parameters, result and errors as of `invert_steps`.
    """
    if any(isinstance(module, SelectiveScan2d) for module in network.modules()):
        raise ValueError(
            "The gradient of a Mamba can't be differentiated again, which a search needs; choose a ResNet or a ViT."
        )
    private = private_copy(network).requires_grad_()
    label_of = torch.tensor([leaked_label(gradients) if label is None else label])
    shared = torch.cat([value.flatten() for value in gradients.values()])
    _check_tells(shared)
    shared = _direction([shared])

    def loss(estimate: Tensor) -> Tensor:
        own = gradients_of(private, estimate, label_of.to(estimate.device), create_graph=True)
        return 1 - _direction(own[name] for name in gradients) @ shared

    return search_steps(loss, shape, generator, settings, start, shared.device)


def quality(original: Tensor, estimate: Tensor) -> Quality:
    """How much of `original` an `estimate` of it shows, both (1, C, H, W) in [0, 1]."""
    measured = fidelity(original[0].cpu().numpy(), estimate[0].cpu().numpy())
    return Quality(measured.psnr, measured.ssim, 2 - 2 / measured.nmi)


def _direction(values: Iterable[Tensor]) -> Tensor:
    """All values in one row of length 1. That of a sure answer is below what `cosine_similarity` takes for 0."""
    row = torch.cat([value.flatten() for value in values])
    row = row / row.abs().max().detach()
    return row / row.norm()


def _check_tells(*values: Tensor) -> None:
    if not all(value.any() for value in values):
        raise ValueError("The gradients are 0 throughout, so they tell nothing of the scan; share them unrounded.")


def _dampings(sizes: Tensor, coordinates: Tensor, target: Tensor) -> list[tuple[float, float]]:
    """Dampings from 1 down to the one that cross-validation chooses, each with the share of the target it leaves."""
    whole = target.square().sum()
    outside = (whole - coordinates.square().sum()).clamp(min=0)
    losses, scores = [], []
    for damping in DAMPINGS:
        kept = sizes.square() / (sizes.square() + damping * sizes[0].square())
        left = outside + ((1 - kept).unsqueeze(1) * coordinates).square().sum()
        losses.append(float((left / whole).sqrt()))
        spare = float(len(target) - CAUTION * kept.sum())
        scores.append(float(left) / spare**2 if spare > 0 else math.inf)
    return list(zip(DAMPINGS, losses))[: int(np.argmin(scores)) + 1]


def search_steps(
    loss: Callable[[Tensor], Tensor],
    shape: Sequence[int],
    generator: torch.Generator,
    settings: SearchSettings,
    start: Tensor | None,
    device: torch.device,
) -> Iterator[InversionStep]:
    """Adam on the signs of the gradient of loss and total variation, pixels kept in [0, 1]; shows the best so far."""
    began = time.perf_counter()
    first = torch.rand((1, *shape), generator=generator) if start is None else start.clone()
    estimate = first.to(device).requires_grad_()
    optimiser = torch.optim.Adam([estimate], settings.rate)
    drops = [round(settings.iterations * share) for share in DROPS]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, drops)
    best, lowest, lost = estimate.detach().clone(), math.inf, math.nan
    for iteration in range(settings.iterations):
        with torch.enable_grad():
            value = loss(estimate)
            whole = value + settings.smoothness * total_variation(estimate)
            estimate.grad = torch.autograd.grad(whole, estimate)[0].sign()
        if whole.item() < lowest:
            best, lowest, lost = estimate.detach().clone(), whole.item(), value.item()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            estimate.clamp_(0, 1)
        if (iteration + 1) % settings.every == 0 or iteration + 1 == settings.iterations:
            yield InversionStep(iteration, best, lost, time.perf_counter() - began)


def total_variation(pixels: Tensor) -> Tensor:
    """() the mean absolute difference of pixels beside and below each other, (B, C, H, W) (Rudin et al. 1992)."""
    return pixels.diff(dim=-1).abs().mean() + pixels.diff(dim=-2).abs().mean()
