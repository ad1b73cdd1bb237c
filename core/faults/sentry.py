"""Looks after the networks of a bundle that serves: codes are taken when it is loaded, a patrol checks them in turn."""

from typing import NamedTuple

from torch import nn

from core.bundles import Bundle, loading
from core.faults.guard import Guard


class Finding(NamedTuple):
    """A damaged tensor: of which network, and what became of it, see `core.faults.guard.RepairReport`."""

    network: str
    tensor: str
    outcome: str


class Sentry:
    """One `Guard` a network of the bundle; it repairs in place, to the very bits that were loaded.

    Whoever calls `walk` sees to it that no network is being used meanwhile.

    Attributes
    ----------
    bundle : str
        Its name.
    rounds : int
        How often every tensor of every network has been looked at.
    findings : list of Finding
        All damage so far, oldest first.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.rounds, self.findings = bundle.name, 0, list[Finding]()
        folder = loading.WEIGHTS / bundle.name
        self._posts = [(name, network, Guard(network, folder / file)) for name, network, file in _networks(bundle)]
        self._at = self._looked_at = 0

    @property
    def bytes(self) -> int:
        """Memory of all codes."""
        return sum(guard.bytes for _, _, guard in self._posts)

    @property
    def tensors(self) -> int:
        """How many are looked after."""
        return sum(len(guard) for _, _, guard in self._posts)

    def walk(self, budget_ms: float) -> None:
        """Check the next tensors until the time is up, at least one, and repair what is damaged among them."""
        name, network, guard = self._posts[self._at]
        leg = guard.patrol(network, budget_ms)
        if leg.damaged:
            outcomes = guard.repair(network).outcomes
            self.findings += [Finding(name, tensor, outcome) for tensor, outcome in outcomes.items()]
        self._looked_at += leg.looked_at
        if self._looked_at >= leg.of:
            self._looked_at, self._at = 0, (self._at + 1) % len(self._posts)
            self.rounds += not self._at


def _networks(bundle: Bundle) -> list[tuple[str, nn.Module, str]]:
    """Name, network and weights file of everything in a bundle that computes."""
    facts = bundle.facts
    found = [(name, network, facts["classifiers"][name]["file"]) for name, network in bundle.classifiers.items()]
    if bundle.mae is not None:
        found.append(("mae", bundle.mae, facts["mae"]["file"]))
    if bundle.diffusion is not None:
        found.append(("unet", bundle.diffusion.unet, facts["unet"]["file"]))
    return found
