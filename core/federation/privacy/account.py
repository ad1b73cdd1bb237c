"""What a site has spent of its privacy: every step that it ever trained on its scans, whatever the federation."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from core.federation.privacy import Privacy, check_installed
from core.storage import save_text

Record = Mapping[str, float]
RECORDED = {"epsilon", "delta", "steps", "rate", "noise", "clip"}
LARGE_ORDERS = (80, 128, 256, 512)  # beside Opacus's own, for much noise or few steps


@dataclass(frozen=True)
class Spent:
    """One round's training: which round, noise over clip, chance of a scan to be in a step, and steps."""

    key: str
    noise: float
    rate: float
    steps: int


@dataclass
class Account:
    """All rounds that a site trained in; kept in a file, so that it outlives the program.

    Attributes
    ----------
    path : Path or None
        The file; None keeps it in memory.
    entries : list of Spent
        As they came.
    """

    path: Path | None = None
    entries: list[Spent] = field(default_factory=list)

    def __post_init__(self):
        if self.path and self.path.is_file():
            self.entries = _read(self.path)

    def check(self, privacy: Privacy, rate: float, steps: int) -> None:
        """Refuse what would pass the budget; ValueError, one sentence."""
        after = epsilon([*self.entries, Spent("", privacy.noise, rate, steps)], privacy.delta)
        if after > privacy.epsilon:
            raise ValueError(
                f"This site trains no further: this round would bring its ε to {after:.2f} at δ = {privacy.delta:g}, "
                f"and its policy allows {privacy.epsilon:g} over all rounds."
            )

    def spend(self, key: str, privacy: Privacy, rate: float, steps: int) -> None:
        """Write down a round, before anything of it can leave."""
        self.entries.append(Spent(key, privacy.noise, rate, steps))
        if self.path:
            save_text(json.dumps([asdict(entry) for entry in self.entries], indent=1), self.path)

    def record(self, key: str, privacy: Privacy) -> dict[str, float]:
        """What the report says of a site after a round; empty where the round isn't in the account.

        epsilon, delta and steps are of everything up to that round, the rest of the round itself.
        """
        last = max((place for place, entry in enumerate(self.entries) if entry.key == key), default=None)
        if last is None:
            return {}
        known = self.entries[: last + 1]
        return {
            "epsilon": epsilon(known, privacy.delta),
            "delta": privacy.delta,
            "steps": sum(entry.steps for entry in known),
            "rate": known[-1].rate,
            "noise": known[-1].noise,
            "clip": privacy.clip,
        }


def epsilon(entries: list[Spent], delta: float) -> float:
    """ε of all entries together at δ, by Rényi's divergences (Mironov et al. 2019), an upper bound.

    It holds for scans that are added or taken away, and for steps each of which takes every scan with the chance
    `rate`, one independently of another.
    """
    return _epsilon(tuple((entry.noise, entry.rate, entry.steps) for entry in entries), delta)


@cache
def _epsilon(history: tuple[tuple[float, float, int], ...], delta: float) -> float:
    check_installed()
    from opacus.accountants import RDPAccountant

    if not history:
        return 0.0
    accountant = RDPAccountant()
    accountant.history = list(history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that more orders might give less: what these give is an upper bound, too
        return float(accountant.get_epsilon(delta, [*RDPAccountant.DEFAULT_ALPHAS, *LARGE_ORDERS]))


def _read(path: Path) -> list[Spent]:
    try:
        return [
            Spent(str(entry["key"]), float(entry["noise"]), float(entry["rate"]), int(entry["steps"]))
            for entry in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path.name} is damaged, so this site doesn't know what it has spent of its privacy; put a copy back "
            "before it trains again."
        ) from error
