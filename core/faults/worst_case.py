"""Which bits do the most damage: progressive search by gradient.

After the progressive bit search of Rakin et al. 2019 ('Bit-Flip Attack', arXiv 1903.12269, section 3), for
floating-point weights instead of quantised ones: there, one flip of an exponent changes a weight by forty orders of
magnitude, which no first-order estimate survives. The gradient therefore only proposes, and true answers decide.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from core.faults.bits import find_format, flipped_values
from core.faults.draws import weight_sites
from core.faults.parts import float_tensors, stage_of
from core.faults.recompute import BATCH, Recompute
from core.faults.sites import Fault, flip_weights, private_copy

LARGEST_LOSS = 100.0  # nats; what a scan counts at most, and what a non-finite answer counts
STEEPEST = 16  # elements of each tensor that are looked at, those with the largest gradients
REACH = 4.0  # a change beyond so many times a tensor's largest value is estimated as if it were that
PROPOSED = 24  # candidates of either sort whose damage is computed on the screening scans
SCREENING = 16  # scans
FINALISTS = 6  # candidates whose damage is computed on all scans


@dataclass(frozen=True)
class SearchStep:
    """One round.

    index: from 0; fault: what was flipped in this round, on top of the rounds before; accuracy: share of scans, in
    [0, 1], answered with `labels` after it (a non-finite answer is wrong); non_finite: share of scans, in [0, 1], whose
    answer is no number; loss: mean cross-entropy in nats, each scan counting at most `LARGEST_LOSS`; done: whether the
    search ends here; tried: candidates whose damage was computed.
    """

    index: int
    fault: Fault
    accuracy: float
    non_finite: float
    loss: float
    done: bool
    tried: int


def worst_case_steps(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    *,
    budget: int = 1,
    silent: bool = False,
    tensor: str | None = None,
    form: str = "float32",
    seed: int = 0,
) -> Iterator[SearchStep]:
    """Find the single bit, then the smallest set, that does the most damage; one flip a round.

    The search is done when the budget is spent, or accuracy is down to what always giving the commonest label would
    reach. It also ends, without another step, where no candidate makes anything worse. Damage is accuracy first,
    then loss.

    Parameters
    ----------
    network : Module
        Never changed.
    pixels, labels : Tensor
        (N, C, H, W) in [0, 1], and (N,) class indices: true ones, or the network's own answers.
    budget : int
        Most flips, from 1.
    silent : bool
        Only flips after which every answer is finite, so that nothing tells of the damage but the labels.
    tensor : str, optional
        Only here: a tensor's name, the dotted name of a module, or the name of a stage.
    form : str
        One of `core.faults.bits.FORMATS`; see `CampaignSettings`.
    seed : int
        Draws the scans that candidates are screened on.

    Raises
    ------
    ValueError
        A budget below 1, or no such tensor or format; one sentence.
    """
    if budget < 1:
        raise ValueError(f"The search needs a budget of at least 1 flip, not {budget}.")
    find_format(form)
    names = list(weight_sites(network, tensor))
    private, labels = private_copy(network, rounded=form == "bfloat16"), labels.to(pixels.device)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    screening = order[:SCREENING].to(pixels.device)
    chance = (labels.bincount().max() / len(labels)).item()
    kept: list[Fault] = []
    for index in range(budget):
        everything = _Trials(private, pixels, labels, silent)
        few = _Trials(private, pixels[screening], labels[screening], silent)
        proposals = [fault for fault in _proposals(private, pixels, labels, names, form) if fault not in kept]
        screened = few.ranked(proposals)
        finals = everything.ranked([fault for _, fault in screened], FINALISTS)
        if not finals or not finals[0][0][:2] < everything.before[:2]:
            return
        damage, fault = finals[0]
        kept.append(fault)
        flip_weights(private, [fault])
        done = index + 1 == budget or damage.accuracy <= chance
        yield SearchStep(index, fault, damage.accuracy, damage.non_finite, -damage.gain, done, few.tried)
        if done:
            return


class _Damage(NamedTuple):
    """Smaller is worse: share of right answers, then the loss with a minus; share of answers without numbers."""

    accuracy: float
    gain: float
    non_finite: float


class _Trials:
    """What single flips do, on top of those that the network bears already, on some scans."""

    def __init__(self, network: nn.Module, pixels: Tensor, labels: Tensor, silent: bool):
        self._network, self._labels, self._silent = network, labels, silent
        self._recompute = Recompute(network, pixels)
        self.before = _damage(self._recompute.logits(), labels)
        self.tried = 0

    def ranked(self, faults: list[Fault], most: int | None = None) -> list[tuple[_Damage, Fault]]:
        """The first `most` faults that are allowed, with what they do, the worst first."""
        found: list[tuple[_Damage, Fault]] = []
        for fault in faults:
            logits = self._logits_with(fault)
            self.tried += 1
            if self._silent and not logits.isfinite().all():
                continue
            found.append((_damage(logits, self._labels), fault))
            if len(found) == most or found[-1][0][:2] == (0.0, -LARGEST_LOSS):
                break  # enough, or nothing can be worse
        return sorted(found, key=lambda pair: pair[0][:2])

    def _logits_with(self, fault: Fault) -> Tensor:
        flip_weights(self._network, [fault])
        try:
            return self._recompute.logits_with(self._network, [fault])
        finally:
            flip_weights(self._network, [fault])


def _damage(logits: Tensor, labels: Tensor) -> _Damage:
    finite = logits.isfinite().all(1)
    right = finite & (logits.argmax(1) == labels)
    losses = functional.cross_entropy(logits, labels, reduction="none").clamp_max(LARGEST_LOSS)
    losses = torch.where(finite, losses, LARGEST_LOSS)
    return _Damage(right.float().mean().item(), -losses.mean().item(), 1 - finite.float().mean().item())


def _proposals(network: nn.Module, pixels: Tensor, labels: Tensor, names: list[str], form: str) -> list[Fault]:
    """The flips with the largest estimated damage, as many beyond `REACH` as within it.

    Of each bit of each tensor, only the best element is proposed, and of all stages equally many, so that no tensor,
    bit or stage crowds the others out: estimates compare badly between them.
    """
    tensors, gradients = float_tensors(network), _loss_gradients(network, pixels, labels)
    within: list[tuple[float, Fault]] = []
    beyond: list[tuple[float, Fault]] = []
    for name in names:
        if name not in gradients:
            continue
        indices, estimates, far = _estimates(tensors[name], gradients[name], form)
        for bit, (best, row) in enumerate(zip(*(part.tolist() for part in estimates.max(0)))):
            fault = Fault(name, int(indices[row]), bit, form)
            (beyond if far[row, bit] else within).append((best, fault))
    stages = {name: stage_of(network, name) for name in names}
    return [*_spread(beyond, stages), *_spread(within, stages)]


def _spread(estimated: list[tuple[float, Fault]], stages: dict[str, str]) -> list[Fault]:
    """The best of each stage, then the second of each, and so on, the larger estimates first; `PROPOSED` in all."""
    places: Counter[str] = Counter()
    ranked = []
    for estimate, fault in sorted(estimated, key=lambda pair: -pair[0]):
        stage = stages[fault.tensor]
        ranked.append((places[stage], -estimate, fault))
        places[stage] += 1
    return [fault for *_, fault in sorted(ranked, key=lambda entry: entry[:2])[:PROPOSED]]


def _estimates(values: Tensor, gradients: Tensor, form: str) -> tuple[Tensor, Tensor, Tensor]:
    """First-order damage of every bit of the steepest elements of a tensor.

    Returns
    -------
    tuple of Tensor
        (K,) indices; (K, bits) gradient times change, or its absolute value with the change cut to `REACH` where it is
        beyond that, as such a change does harm in whichever direction it goes; (K, bits) bool, whether it is.
    """
    values, gradients = values.reshape(-1), gradients.reshape(-1)
    indices = gradients.abs().topk(min(STEEPEST, len(gradients))).indices
    values, gradients = values[indices, None], gradients[indices, None]
    reach = REACH * values.nan_to_num(0, 0, 0).abs().max().clamp_min(1e-12)
    change = flipped_values(values[:, 0], form) - values
    far = ~(change.abs() <= reach)
    return indices, torch.where(far, gradients.abs() * reach, gradients * change), far


@torch.enable_grad()
def _loss_gradients(network: nn.Module, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Tensor → the gradient of how far the best wrong logit lies above the true one, over scans answered rightly.

    Cross-entropy has no gradient left where a network is sure, and scans that are lost already need no more damage.
    """
    stated = {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
    statistics = {f"{name}.running_{kind}" for name in stated for kind in ("mean", "var")}
    leaves = {name: tensor for name, tensor in _named(network).items() if name not in statistics}
    gradients = {name: torch.zeros_like(tensor) for name, tensor in leaves.items()}
    for tensor in leaves.values():
        tensor.requires_grad_(True)
    for images, truths in zip(pixels.split(BATCH), labels.split(BATCH)):
        margins = _margins(network(images), truths)
        found = torch.autograd.grad(margins.clamp_max(0).sum(), list(leaves.values()), allow_unused=True)
        for name, gradient in zip(leaves, found):
            if gradient is not None:
                gradients[name] += gradient.nan_to_num(0, 0, 0)
    for tensor in leaves.values():
        tensor.requires_grad_(False)
    for name, module in stated.items():
        gradients |= _statistics_gradients(name, module, gradients)
    return gradients


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """(N,) the best wrong logit minus the true one."""
    truth = functional.one_hot(labels, logits.shape[1]).bool()
    return logits.masked_fill(truth, -torch.inf).amax(1) - logits[truth]


def _named(network: nn.Module) -> dict[str, Tensor]:
    named = dict(network.named_parameters()) | dict(network.named_buffers())
    return {name: tensor for name, tensor in named.items() if tensor.is_floating_point()}


def _statistics_gradients(name: str, module: _BatchNorm, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of BatchNorm's running mean m and variance v, which torch doesn't give in eval mode.

    From y = γ (x − m) / √(v + ε) + β: ∂L/∂m = −γ / √(v + ε) · ∂L/∂β, and ∂L/∂v = −γ / (2 (v + ε)) · ∂L/∂γ.
    """
    if module.running_var is None or not module.affine:
        return {}
    spread, scale = module.running_var + module.eps, module.weight.detach()
    mean = -scale / spread.sqrt() * gradients[f"{name}.bias"]
    variance = -scale / (2 * spread) * gradients[f"{name}.weight"]
    return {
        f"{name}.running_mean": mean.nan_to_num(0, 0, 0),
        f"{name}.running_var": variance.nan_to_num(0, 0, 0),
    }
