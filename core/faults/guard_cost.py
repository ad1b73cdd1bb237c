"""What a guard costs: time a scan, and memory."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from core.faults.bits import flip_bit
from core.faults.guard import Guard
from core.faults.parts import float_tensors
from core.faults.ranges import stage_exits

REPEATS = 15


class Cost(NamedTuple):
    """What a guard costs. Times are medians in milliseconds on this machine, for one scan.

    bytes of codes and digests, and weight_bytes of what they guard; check_ms for all tensors; ranges_ms for the limits
    on activations, 0 without any; repair_ms to put right one flip in the largest tensor, checks included;
    patrol_scans: over how many scans `Guard.check_next` with `budget_ms` a scan spreads one look at everything.
    """

    bytes: int
    weight_bytes: int
    check_ms: float
    ranges_ms: float
    repair_ms: float
    patrol_scans: int
    budget_ms: float


def measure(guard: Guard, network: nn.Module, pixels: Tensor, budget_ms: float = 5.0) -> Cost:
    """What the guard costs for one scan.

    Parameters
    ----------
    network : Module
        A private copy: one bit of it is flipped and repaired over and over.
    pixels : Tensor
        (1, C, H, W) in [0, 1].
    """
    tensors = float_tensors(network)
    name = max(tensors, key=lambda name: tensors[name].numel())

    def repair() -> None:
        flip_bit(tensors[name], tensors[name].numel() // 2, bit=20)
        guard.repair(network)

    ranges = guard.ranges
    exits = list(stage_exits(network, pixels)) if ranges else []
    return Cost(
        bytes=guard.bytes,
        weight_bytes=sum(tensor.nbytes for tensor in tensors.values()),
        check_ms=_median_ms(lambda: guard.check(network)),
        ranges_ms=_median_ms(lambda: [ranges.outside(stage, values) for stage, values in exits]) if ranges else 0.0,
        repair_ms=_median_ms(repair),
        patrol_scans=_scans_a_round(guard, network, budget_ms),
        budget_ms=budget_ms,
    )


def _scans_a_round(guard: Guard, network: nn.Module, budget_ms: float) -> int:
    scans = looked_at = 0
    while looked_at < len(float_tensors(network)):
        looked_at += guard.check_next(network, budget_ms).looked_at
        scans += 1
    return scans


def _median_ms(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)
