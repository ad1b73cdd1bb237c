"""How far an attack may move a scan: what the slider of ε offers, and what an address may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The slider of ε: its range, its step and where it starts."""

    low: float
    high: float
    step: float
    start: float


BUDGETS = {
    "linf": Budget(0.5, 16.0, 0.5, 8.0),
    "l2": Budget(0.1, 8.0, 0.1, 2.0),
    "l1": Budget(1.0, 200.0, 1.0, 60.0),
}
