"""A network as a chain of stretches, so that what lies behind a change can be computed again without what lies before.

Everything that damages or guards a network needs this alone: no code outside core/models knows a network's layers.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor


class Stage(NamedTuple):
    """One stretch of a network.

    name: short and unique within the network, such as 'layer3.1'; prefixes: dotted names of the modules that it holds,
    so that every parameter and every float buffer of the network belongs to exactly one stage; run: (B, …) what the
    stage before gave (the first takes (B, C, H, W) pixels in [0, 1]) → (B, …), leaving its input as it was. The last
    one gives the (B, classes) logits, and all of them in order give exactly what the network's forward gives.
    """

    name: str
    prefixes: tuple[str, ...]
    run: Callable[[Tensor], Tensor]

    def holds(self, name: str) -> bool:
        """Whether a tensor or module, by its dotted name, lies in this stage."""
        return any(not prefix or name == prefix or name.startswith(prefix + ".") for prefix in self.prefixes)


class Staged(Protocol):
    """A network that says which stages it consists of."""

    def stages(self) -> tuple[Stage, ...]:
        """All of them, in the order that they are run."""
