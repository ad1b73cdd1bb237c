"""Many trials of random bit flips, and what they do to a network's answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.faults.draws import CampaignSettings, check_settings, chosen_sites, draw_faults
from core.faults.guard import GUARDS, Guard, RepairReport
from core.faults.parts import float_tensors
from core.faults.ranges import Ranges
from core.faults.recompute import BATCH, Recompute
from core.faults.sites import Fault, check_fault, flip_weights, private_copy


@dataclass(frozen=True)
class Trial:
    """One trial.

    index: from 0; faults: what was flipped; accuracy: share, in [0, 1], of the answered scans that got their true
    label, None where no scan was answered; label_changes: share of all scans that got another label than from the
    undamaged network (a non-finite answer counts as changed, and as wrong; a refused scan as neither); non_finite:
    share of all scans whose answer held NaN or infinity; seconds: wall time; refused: share of all scans that the
    guard left without a label; alarm: whether the guard noticed; repairs: tensor → what the guard made of it, as
    `RepairReport` names it.
    """

    index: int
    faults: tuple[Fault, ...]
    accuracy: float | None
    label_changes: float
    non_finite: float
    seconds: float
    refused: float = 0.0
    alarm: bool = False
    repairs: Mapping[str, str] = field(default_factory=dict)


def run_campaign(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    settings: CampaignSettings,
    *,
    guard: str = "off",
    weights: Path | None = None,
    ranges: Ranges | None = None,
    start: int = 0,
    batch: int = BATCH,
) -> Iterator[Trial]:
    """Run the trials from `start` on, one after another, on one private copy.

    A trial's faults come from (seed, index) alone, so that a campaign can be gone on with at any index and gives the
    same trials. After each trial, and when the generator is closed early, the copy is as it was.

    Parameters
    ----------
    network : Module
        Never changed.
    pixels, labels : Tensor
        (N, C, H, W) in [0, 1] and (N,) class indices.
    guard : str
        One of `core.faults.guard.GUARDS`. 'detect': where the guard notices damage in the weights no scan gets a label,
        where it notices an activation out of range that scan gets none. 'repair': weights are repaired before the scans
        are answered, and activations are clipped.
    weights : Path, optional
        The safetensors file that a tensor beyond correction is reloaded from.
    ranges : Ranges, optional
        Limits of activations; without them the guard watches weights alone.

    Raises
    ------
    ValueError
        A setting that doesn't fit the network, or no such guard; one sentence.
    """
    sites = chosen_sites(network, pixels, settings)
    check_settings(settings, sites)
    rounded = settings.kind == "weight" and settings.form == "bfloat16"
    trials = _FaultTrials(network, pixels, labels, rounded, guard, weights, ranges, batch)
    for index in range(start, settings.trials):
        yield trials.trial(index, draw_faults(sites, settings, index))


def measure_faults(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    faults: Sequence[Fault],
    *,
    guard: str = "off",
    weights: Path | None = None,
    ranges: Ranges | None = None,
    batch: int = BATCH,
) -> Trial:
    """One trial with faults that the caller chose, such as those of the worst case; parameters as of `run_campaign`.

    Where all weight faults are bfloat16 flips, all weights are rounded to bfloat16 first.
    """
    for fault in faults:
        check_fault(network, fault)
    forms = {fault.form for fault in faults if fault.kind == "weight"}
    return _FaultTrials(network, pixels, labels, forms == {"bfloat16"}, guard, weights, ranges, batch).trial(
        0, tuple(faults)
    )


def check_guard(guard: str) -> None:
    """ValueError in one sentence where there is no such guard."""
    if guard not in GUARDS:
        raise ValueError(f"There is no guard named {guard!r}; choose one of: {', '.join(GUARDS)}.")


def campaign_summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """What many trials say together.

    Returns
    -------
    dict
        trials; accuracy (mean over the trials that answered, None where none did) and interval (its 95 % bootstrap
        interval over trials, None likewise); worst (lowest accuracy); label_changes, non_finite and refused (mean
        shares); alarms (share of trials in which the guard noticed); repaired (share of the trials with damaged weights
        in which it repaired all of them, None where it repaired nowhere); seconds (sum).
    """
    # Here and not above: it brings scikit-learn, which takes a second to load.
    from core.statistics import bootstrap_interval

    accuracies = [trial.accuracy for trial in trials if trial.accuracy is not None]
    interval = bootstrap_interval(accuracies, [str(index) for index in range(len(accuracies))]) if accuracies else None
    found = [trial for trial in trials if trial.repairs]
    return {
        "trials": len(trials),
        "accuracy": float(np.mean(accuracies)) if accuracies else None,
        "interval": interval,
        "worst": min(accuracies, default=None),
        "label_changes": float(np.mean([trial.label_changes for trial in trials])),
        "non_finite": float(np.mean([trial.non_finite for trial in trials])),
        "refused": float(np.mean([trial.refused for trial in trials])),
        "alarms": float(np.mean([trial.alarm for trial in trials])),
        "repaired": float(np.mean([RepairReport(trial.repairs).whole for trial in found])) if found else None,
        "seconds": sum(trial.seconds for trial in trials),
    }


class _FaultTrials:
    """A private copy on which faults are tried one trial after another, with or without a guard."""

    def __init__(
        self,
        network: nn.Module,
        pixels: Tensor,
        labels: Tensor,
        rounded: bool,
        guard: str,
        weights: Path | None,
        ranges: Ranges | None,
        batch: int,
    ):
        check_guard(guard)
        self._copy, self._mode = private_copy(network, rounded), guard
        self._tensors = float_tensors(self._copy)
        self._sound = {name: tensor.clone() for name, tensor in self._tensors.items()}
        self._guard = None if guard == "off" else Guard(self._copy, weights, ranges, rounded=rounded)
        self._ranges = None if guard == "off" else ranges
        self._outside: dict[str, list[Tensor]] = {}
        self._recompute = Recompute(self._copy, pixels, batch, self._exit)
        self._outside_clean, self._outside = self._outside, {}
        self._labels = labels.to(pixels.device)
        self._answers = self._recompute.logits().argmax(1)

    def trial(self, index: int, faults: tuple[Fault, ...]) -> Trial:
        """Flip, let the guard look, answer, and put everything back."""
        start = perf_counter()
        struck = {fault.tensor for fault in faults if fault.kind == "weight"}
        repairs: dict[str, str] = {}
        try:
            flip_weights(self._copy, faults)
            alarm, repairs = self._checked()
            if self._usable(alarm, repairs):
                logits = self._recompute.logits_with(self._copy, faults)
                outside = self._flagged()
                refused = outside & (self._mode == "detect")
                alarm = alarm or bool(outside.any())
            else:
                logits, refused = self._recompute.logits(), torch.ones_like(self._answers, dtype=torch.bool)
        finally:
            for name in struck | repairs.keys():
                self._tensors[name].copy_(self._sound[name])
            self._outside = {}
        figures = self._figures(logits, ~refused)
        return Trial(index, faults, **figures, seconds=perf_counter() - start, alarm=alarm, repairs=repairs)

    def _checked(self) -> tuple[bool, dict[str, str]]:
        """Whether the guard found damaged weights, and what it made of them."""
        if self._guard is None:
            return False, {}
        if self._mode == "detect":
            return bool(self._guard.check(self._copy)), {}
        repairs = dict(self._guard.repair(self._copy).outcomes)
        return bool(repairs), repairs

    def _usable(self, alarm: bool, repairs: dict[str, str]) -> bool:
        return RepairReport(repairs).whole if self._mode == "repair" else not alarm

    def _exit(self, stage: str, output: Tensor) -> Tensor:
        if self._ranges is None:
            return output
        self._outside.setdefault(stage, []).append(self._ranges.outside(stage, output))
        return self._ranges.clipped(stage, output) if self._mode == "repair" else output

    def _flagged(self) -> Tensor:
        """(N,) bool: the scans with an activation out of range, in the stages run now or in those kept from before."""
        stages = (self._outside_clean | self._outside).values()
        flags = [torch.cat(batches) for batches in stages]
        return torch.stack(flags).any(0) if flags else torch.zeros_like(self._answers, dtype=torch.bool)

    def _figures(self, logits: Tensor, answered: Tensor) -> dict[str, Any]:
        finite, answers = logits.isfinite().all(1), logits.argmax(1)
        right = finite & (answers == self._labels)
        changed = ~finite | (answers != self._answers)
        return {
            "accuracy": right[answered].float().mean().item() if answered.any() else None,
            "label_changes": (changed & answered).float().mean().item(),
            "non_finite": (~finite & answered).float().mean().item(),
            "refused": (~answered).float().mean().item(),
        }
