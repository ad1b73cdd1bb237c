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
from core.faults.view import GuardedNetwork, guarded, network_of


class SampleAnswers(NamedTuple):
    """before, after: (N,) names of classes, None where no number comes out; withheld: places a guard holds back."""

    before: tuple[str | None, ...]
    after: tuple[str | None, ...]
    withheld: frozenset[int] = frozenset()

    @property
    def turned(self) -> int:
        """How many answers name another class than before."""
        return sum(now is not None and now != then for then, now in self._given)

    @property
    def missing(self) -> int:
        """How many answers that were there hold no number now."""
        return sum(then is not None and now is None for then, now in self._given)

    @property
    def kept(self) -> int:
        """How many stay as they were."""
        return len(self._given) - self.turned - self.missing

    @property
    def _given(self) -> list[tuple[str | None, str | None]]:
        """Before and now, of the answers that no guard holds back."""
        pairs = enumerate(zip(self.before, self.after))
        return [pair for place, pair in pairs if place not in self.withheld]


@torch.no_grad()
def sample_answers(
    bundle: Bundle,
    classifier: str,
    samples: Samples,
    faults: Sequence[Fault],
    guard: Guard | None = None,
    repair: bool = False,
) -> SampleAnswers:
    """Ask a classifier about samples, undamaged and with faults; guard and repair as in `core.faults.view.guarded`.

    As in a campaign, damaged weights withhold every scan's answer, and an activation out of range that scan's alone.
    """
    network = network_of(bundle, classifier)
    before = _labels(network, samples.pixels, bundle.classes)
    if not faults:
        return SampleAnswers(before, before)
    copy, report = guarded(network, faults, guard, repair)
    if report is None:
        return SampleAnswers(before, _labels(copy, samples.pixels, bundle.classes))
    left = copy.left if isinstance(copy, GuardedNetwork) else []
    after: list[str | None] = []
    withheld = set()
    for place, scan in enumerate(samples.pixels.split(1)):
        left.clear()
        after += _labels(copy, scan, bundle.classes)
        # Only now: whether its activations left their limits is known once it has run.
        if report._replace(stages=tuple(left)).withholds:
            withheld.add(place)
    return SampleAnswers(before, tuple(after), frozenset(withheld))


def _labels(network: nn.Module, pixels: Tensor, classes: Sequence[str]) -> tuple[str | None, ...]:
    rows = network(pixels).tolist()
    return tuple(classes[row.index(max(row))] if all(map(math.isfinite, row)) else None for row in rows)
