"""What a hospital allows, whatever a server asks of it; the hospital's own program reads and enforces it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from core.federation.averaging import State
from core.federation.plan import CLASSIFIER, COLLECT, Order
from core.federation.privacy import Privacy, check_installed, normal_noise
from core.federation.strategies import STRATEGIES, statistics_names


class PolicyError(ValueError):
    """One sentence: what a hospital's policy forbids."""


@dataclass(frozen=True)
class Policy:
    """A hospital's own rules.

    Attributes
    ----------
    strategies : tuple of str
        Which it takes part in.
    least_partners : int
        Other hospitals that have to be known to take part as well.
    clip : float
        Largest norm of the change of its weights that it sends in a round; larger ones are scaled down.
    noise : float
        Every number of what it sends gets N(0, (noise · clip)²) added; statistics stay, as no variance has noise.
    sends_statistics : bool
        Whether BatchNorm's means and variances may leave.
    steps : int
        Most optimiser steps in a round.
    privacy : Privacy or None
        How it trains privately, and how far it goes in that; None trains as the plan says.
    """

    strategies: tuple[str, ...] = tuple(STRATEGIES)
    least_partners: int = 0
    clip: float = math.inf
    noise: float = 0.0
    sends_statistics: bool = True
    steps: int = 10_000
    privacy: Privacy | None = None

    def __post_init__(self):
        unknown = [name for name in self.strategies if not isinstance(name, str) or name not in STRATEGIES]
        if unknown or not self.strategies:
            raise PolicyError(f"A policy allows strategies among {', '.join(STRATEGIES)}, not {unknown or 'none'}.")
        if not self.clip > 0 or not (math.isfinite(self.noise) and self.noise >= 0) or self.least_partners < 0:
            raise PolicyError("A policy's clip must be above 0, its noise and its least_partners at least 0.")
        if self.noise and not math.isfinite(self.clip):
            raise PolicyError("A policy with noise needs a clip: noise is counted in it.")


def read_policy(path: Path) -> Policy:
    """Read a policy from a JSON file; PolicyError, one sentence, where it is none."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path.name} can't be read as a policy; it should be a JSON file.") from error
    kinds = {"strategies": list, "sends_statistics": bool, "least_partners": int, "steps": int, "privacy": dict}
    _check_entries(path.name, entries, Policy, kinds)
    entries |= {"strategies": tuple(entries["strategies"])} if "strategies" in entries else {}
    if "privacy" in entries:
        entries["privacy"] = _read_privacy(path.name, entries["privacy"])
    return Policy(**entries)


def _read_privacy(file: str, entries: Any) -> Privacy:
    _check_entries(f"{file}: privacy", entries, Privacy, {})
    try:
        check_installed()
        return Privacy(**entries)
    except ValueError as error:
        raise PolicyError(f"{file}: {error}") from error


def _check_entries(what: str, entries: Any, of: type, kinds: Mapping[str, type]) -> None:
    """Refuse entries that `of` hasn't, and values that are of none of their kinds; a kind not named is a number."""
    known = [entry.name for entry in fields(of)]
    if not isinstance(entries, dict) or set(entries) - set(known):
        raise PolicyError(f"{what} is no policy: it may have the entries {', '.join(known)} and no others.")
    for name, value in entries.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (isinstance(value, kinds[name]) if name in kinds else number) or (kinds.get(name) is int and not number):
            raise PolicyError(f"{what}: {name} has a value that a policy can't have there.")


def check_order(policy: Policy, order: Order, known_partners: int) -> None:
    """Refuse what a hospital doesn't take part in.

    Parameters
    ----------
    policy : Policy
        The hospital's own.
    order : Order
        What the server asks.
    known_partners : int
        Other hospitals of which the hospital itself has made sure that they take part.

    Raises
    ------
    PolicyError
        One sentence that may be sent to the server.
    """
    if order.plan.strategy not in policy.strategies:
        raise PolicyError(f"This site takes no part in the strategy {order.plan.strategy}.")
    if known_partners < policy.least_partners:
        raise PolicyError(
            f"This site takes part with at least {policy.least_partners} others that it knows, not {known_partners}."
        )
    if order.plan.steps > policy.steps:
        raise PolicyError(f"This site trains at most {policy.steps} steps a round, not {order.plan.steps}.")
    if order.plan.how.encrypted and order.plan.trains == CLASSIFIER and not _sends_statistics(policy):
        raise PolicyError("This site keeps BatchNorm's statistics, and a sum of ciphertexts has no gaps; take fedavg.")
    if order.phase == COLLECT and (not policy.sends_statistics or policy.noise or math.isfinite(policy.clip)):
        raise PolicyError("This site gives no whole network away, which a gate over all sites' networks would need.")


def guarded(policy: Policy, network: nn.Module, sent: State, before: State, random: np.random.Generator) -> State:
    """What may leave of what would be sent: without statistics, its change clipped, with noise.

    Parameters
    ----------
    policy : Policy
        The hospital's own.
    network : Module
        Whose entries these are.
    sent, before : mapping of str to Tensor
        After training, and as the round began; the latter may hold more.
    random : Generator
        Draws the noise; nobody outside may know its state.
    """
    hidden = hidden_names(policy, network)
    left = {name: value for name, value in sent.items() if name not in hidden}
    if not math.isfinite(policy.clip):
        return left
    change = {name: left[name] - before[name] for name in left if left[name].is_floating_point()}
    norm = math.sqrt(sum(float(value.double().square().sum()) for value in change.values()))
    share, sigma = min(1.0, policy.clip / norm) if norm else 1.0, policy.noise * policy.clip
    return left | {
        name: before[name] + share * value + normal_noise(value, sigma, random) for name, value in change.items()
    }


def hidden_names(policy: Policy, network: nn.Module) -> frozenset[str]:
    """Names of the entries of a network's state that stay with a hospital, whatever the strategy shares."""
    return frozenset() if _sends_statistics(policy) else statistics_names(network)


def _sends_statistics(policy: Policy) -> bool:
    return policy.sends_statistics and not policy.noise
