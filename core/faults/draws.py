"""Which bits a campaign of random flips strikes."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from core.faults.bits import check_bit, find_format
from core.faults.parts import some_of, stage_names, stage_of
from core.faults.sites import (
    Fault,
    activation_sites,
    check_kind,
    fault_sites,
)


@dataclass(frozen=True)
class CampaignSettings:
    """What is flipped, and how often.

    Attributes
    ----------
    flips : int
        Bits flipped at once in a trial, all of them different.
    trials : int
        Independent trials.
    kind : str
        'weight' or 'activation'.
    form : str
        One of `core.faults.bits.FORMATS`. With bfloat16 all weights are rounded to it first, as they would be stored,
        and the undamaged answers are those of the rounded network; activations are rounded only where they are hit.
    tensor : str or None
        Only here: a tensor's name, the dotted name of a module, or the name of a stage; for activations, an innermost
        module's or a stage's. None draws uniformly from all elements of all tensors, so that a large layer is hit more
        often; for activations, from the exits of all stages.
    bit : int or None
        Only this bit, 0 for the lowest; None draws uniformly from all.
    seed : int
        With the trial's index, the only source of randomness.
    """

    flips: int = 1
    trials: int = 100
    kind: str = "weight"
    form: str = "float32"
    tensor: str | None = None
    bit: int | None = None
    seed: int = 0


def check_settings(settings: CampaignSettings, sites: dict[str, int]) -> None:
    """ValueError in one sentence where settings are out of range, or ask for more flips than the sites have bits."""
    bits = find_format(settings.form).bits
    if settings.bit is not None:
        check_bit(settings.bit, settings.form)
    if settings.trials < 1 or settings.flips < 1:
        name = "trials" if settings.trials < 1 else "flips"
        raise ValueError(f"A campaign needs at least 1 of {name}, not {getattr(settings, name)}.")
    most = sum(sites.values()) * (bits if settings.bit is None else 1)
    if settings.flips > most:
        where = settings.tensor or "the network"
        raise ValueError(f"There are only {most} such bits in {where}, so {settings.flips} different ones can't flip.")


def chosen_sites(network: nn.Module, pixels: Tensor, settings: CampaignSettings) -> dict[str, int]:
    """Name → number of elements, where the settings allow a fault.

    Weights: all, one tensor, those of a module, or those of a stage. Activations: the exits of all stages, as these are
    what is held in memory from one to the next, or one stage's or innermost module's output.

    Raises
    ------
    ValueError
        There is nothing of this name, or no such kind; one sentence.
    """
    check_kind(settings.kind)
    if settings.kind == "weight":
        return weight_sites(network, settings.tensor)
    sites = activation_sites(network, pixels)
    names = stage_names(network) if settings.tensor is None else [settings.tensor]
    if missing := [name for name in names if name not in sites]:
        raise ValueError(f"No activation is named {missing[0]!r} in this network; it has: {some_of(list(sites))}.")
    return {name: sites[name] for name in names}


def weight_sites(network: nn.Module, tensor: str | None) -> dict[str, int]:
    """Name → number of elements of all weights, of one tensor, or of a module's or stage's; ValueError as above."""
    sites = fault_sites(network)
    if tensor is None or tensor in sites:
        return sites if tensor is None else {tensor: sites[tensor]}
    within = {
        name: count
        for name, count in sites.items()
        if name.startswith(tensor + ".") or stage_of(network, name) == tensor
    }
    if not within:
        layers = some_of(stage_names(network))
        raise ValueError(f"There is no layer named {tensor!r} in this network; name a tensor, or one of: {layers}.")
    return within


def draw_faults(sites: dict[str, int], settings: CampaignSettings, index: int) -> tuple[Fault, ...]:
    """The faults of one trial, drawn uniformly and without repetition; `sites` name → number of elements."""
    bits = find_format(settings.form).bits if settings.bit is None else 1
    names, ends = list(sites), np.cumsum(list(sites.values()))
    random = np.random.default_rng([settings.seed, index])
    drawn = random.choice(int(ends[-1]) * bits, settings.flips, replace=False, shuffle=False)
    elements, places = drawn // bits, drawn % bits
    faults = []
    for element, place in zip(elements.tolist(), places.tolist()):
        which = int(np.searchsorted(ends, element, side="right"))
        bit = place if settings.bit is None else settings.bit
        faults.append(
            Fault(names[which], element - int(ends[which]) + sites[names[which]], bit, settings.form, settings.kind)
        )
    return tuple(faults)
