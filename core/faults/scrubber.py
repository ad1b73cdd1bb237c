"""Memory scrubbing for a bundle that serves: codes are taken when it is loaded, and its tensors checked in turn."""

from pathlib import Path
from typing import NamedTuple

from torch import nn

from core.bundles import FAMILY, MADE_OF, Bundle
from core.faults.guard import Guard


class Finding(NamedTuple):
    """A damaged tensor: of which network, and what became of it, see `core.faults.guard.RepairReport`."""

    network: str
    tensor: str
    outcome: str


class BundleScrubber:
    """One `Guard` a network of the bundle; it repairs in place, to the very bits that were loaded.

    Whoever calls `scrub` sees to it that no network is being used meanwhile.

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
        self._guards = [
            (name, network, Guard(network, files[0], changes=files[1])) for name, network, files in _networks(bundle)
        ]
        self._at = self._looked_at = 0

    @property
    def bytes(self) -> int:
        """Memory of all codes."""
        return sum(guard.bytes for _, _, guard in self._guards)

    @property
    def tensors(self) -> int:
        """How many are looked after."""
        return sum(len(guard) for _, _, guard in self._guards)

    def scrub(self, budget_ms: float) -> None:
        """Check the next tensors until the time is up, at least one, and repair what is damaged among them."""
        name, network, guard = self._guards[self._at]
        checked = guard.check_next(network, budget_ms)
        if checked.damaged:
            outcomes = guard.repair(network).outcomes
            self.findings += [Finding(name, tensor, outcome) for tensor, outcome in outcomes.items()]
        self._looked_at += checked.looked_at
        if self._looked_at >= checked.of:
            self._looked_at, self._at = 0, (self._at + 1) % len(self._guards)
            self.rounds += not self._at


def _networks(bundle: Bundle) -> list[tuple[str, nn.Module, tuple[Path, Path | None]]]:
    """Name and network of everything in a bundle that computes; its weights file, and that of what changed of it."""
    found: list[tuple[str, nn.Module, tuple[Path, Path | None]]] = [
        (name, network, (bundle.weights_file(name), None)) for name, network in bundle.classifiers.items()
    ]
    parts = {name: getattr(bundle, name) for name in ("mae", "acquisition", *FAMILY)}
    if bundle.diffusion is not None:
        parts["unet"] = bundle.diffusion.unet
    held = {name: network for name, network in parts.items() if network is not None}
    files = {name: bundle.folder / bundle.facts[name]["file"] for name in held}
    for name, network in held.items():
        pair = (files[MADE_OF[name]], files[name]) if name in MADE_OF else (files[name], None)
        found.append((name, network, pair))
    return found
