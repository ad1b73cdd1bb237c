"""Limits on activations, learned on calibration scans: a flipped exponent leaves them, and clipping to them helps.

The idea is that of Ranger (Chen et al. 2021): values that a network never takes on sound hardware are cut to those that
it does take. Here every stage's exit is watched, also the gate of a mixture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.faults.parts import network_parts

MARGIN = 0.5


@dataclass(frozen=True)
class Ranges:
    """The values that a network takes at the exits of its stages.

    Attributes
    ----------
    limits : mapping of str to (float, float)
        Stage → lowest and highest value, widened already.
    n : int
        Calibration scans.
    margin : float
        By which share of its width a range was widened on either side.
    """

    limits: Mapping[str, tuple[float, float]]
    n: int
    margin: float = MARGIN

    def outside(self, stage: str, values: Tensor) -> Tensor:
        """(N, …) values at a stage's exit → (N,) bool: any of them beyond the limits, or NaN."""
        low, high = self.limits[stage]
        places = tuple(range(1, values.ndim))
        return ~((values.amin(places) >= low) & (values.amax(places) <= high))

    def clipped(self, stage: str, values: Tensor) -> Tensor:
        """The values cut to the limits; NaN, which is near to neither, becomes the one that is nearer to zero."""
        low, high = self.limits[stage]
        return values.nan_to_num(nan=min(low, high, key=abs), posinf=high, neginf=low).clamp(low, high)

    def to_json(self) -> dict[str, Any]:
        """As faults.json keeps it."""
        limits = {stage: list(pair) for stage, pair in self.limits.items()}
        return {"limits": limits, "n": self.n, "margin": self.margin}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Ranges":
        """What `to_json` wrote."""
        limits = {stage: (float(low), float(high)) for stage, (low, high) in entry["limits"].items()}
        return cls(limits, int(entry["n"]), float(entry["margin"]))


@torch.no_grad()
def stage_exits(network: nn.Module, pixels: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Name, as in `network_parts`, and values (N, …) at the exit of every stage, for (N, C, H, W) pixels in [0, 1]."""
    for stages in network_parts(network).values():
        values = pixels
        for stage in stages:
            values = stage.run(values)
            yield stage.name, values


def learn_ranges(network: nn.Module, pixels: Tensor, batch: int = 16, margin: float = MARGIN) -> Ranges:
    """The lowest and highest value at every stage's exit, widened.

    Parameters
    ----------
    network : Module
        Undamaged.
    pixels : Tensor
        (N, C, H, W) calibration scans in [0, 1].
    batch : int
        Scans at a time.
    margin : float
        Share of a range's width that is added on either side.

    Raises
    ------
    ValueError
        No scans, or the network isn't finite on them; one sentence.
    """
    if not len(pixels):
        raise ValueError("Ranges are learned on at least one calibration scan; none was given.")
    seen: dict[str, list[Tensor]] = {}

    for part in pixels.split(batch):
        for stage, values in stage_exits(network, part):
            seen.setdefault(stage, []).append(torch.stack(values.aminmax()))
    limits = {}
    for stage, pairs in seen.items():
        low, high = torch.stack(pairs)[:, 0].min().item(), torch.stack(pairs)[:, 1].max().item()
        width = margin * (high - low)
        limits[stage] = (low - width, high + width)
    if not torch.tensor(list(limits.values())).isfinite().all():
        raise ValueError("The network isn't finite on the calibration scans; learn its ranges before it is damaged.")
    return Ranges(limits, len(pixels), margin)


def out_of_range(network: nn.Module, pixels: Tensor, ranges: Ranges) -> Tensor:
    """(N, C, H, W) pixels in [0, 1] → (N,) bool, whether a scan's values leave the limits at any stage's exit."""
    return torch.stack([ranges.outside(stage, values) for stage, values in stage_exits(network, pixels)]).any(0)
