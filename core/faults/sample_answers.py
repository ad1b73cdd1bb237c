"""What damage to a classifier does to its answers to a bundle's sample scans, one by one."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.bundles import Bundle
from core.faults.guard import Guard
from core.faults.samples import Samples
from core.faults.sites import Fault
from core.faults.view import guarded, network_of


class SampleAnswers(NamedTuple):
    """before, after: (N,) names of classes, None where no number comes out; withheld: a guard holds them back."""

    before: tuple[str | None, ...]
    after: tuple[str | None, ...]
    withheld: bool = False

    @property
    def turned(self) -> int:
        """How many answers name another class than before."""
        return sum(now is not None and now != then for then, now in zip(self.before, self.after))

    @property
    def missing(self) -> int:
        """How many answers that were there hold no number now."""
        return sum(then is not None and now is None for then, now in zip(self.before, self.after))

    @property
    def kept(self) -> int:
        """How many stay as they were."""
        return len(self.before) - self.turned - self.missing


@torch.no_grad()
def sample_answers(
    bundle: Bundle,
    classifier: str,
    samples: Samples,
    faults: Sequence[Fault],
    guard: Guard | None = None,
    repair: bool = False,
) -> SampleAnswers:
    """Ask a classifier about samples, undamaged and with faults; guard and repair as in `core.faults.view.guarded`."""
    network = network_of(bundle, classifier)
    before = _labels(network, samples.pixels, bundle.classes)
    if not faults:
        return SampleAnswers(before, before)
    copy, report = guarded(network, faults, guard, repair)
    return SampleAnswers(before, _labels(copy, samples.pixels, bundle.classes), bool(report and report.withholds))


def _labels(network: nn.Module, pixels: Tensor, classes: Sequence[str]) -> tuple[str | None, ...]:
    rows = network(pixels).tolist()
    return tuple(classes[row.index(max(row))] if all(map(math.isfinite, row)) else None for row in rows)
