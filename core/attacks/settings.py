"""How an attacker works, in one record that commands, pages and tables share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AttackSettings:
    """An attack and its budget. What an attack doesn't take is ignored; `core.attacks.ATTACKS` says what it takes.

    Attributes
    ----------
    method : str or None
        A name in `core.attacks.ATTACKS`; None for no attack.
    eps : float
        Radius of the ball: in 1/255 for ℓ∞, plain for ℓ2 and ℓ1.
    norm : str
        ``linf``, ``l2`` or ``l1``.
    steps : int or None
        Steps or queries of each attempt; the attack's own number where None.
    step_size : float or None
        In the units of `eps`; the attack's own where None.
    restarts, eot : int
        Independent starts; calls of a randomised model that each gradient is averaged over.
    target : int or None
        Index of the class to drive the scan to; any other than the first answer where None.
    severity : int
        Of a benign change, 1 to 5.
    white_box : bool
        The attacker sees and differentiates the whole defence, not the classifier alone.
    """

    method: str | None = None
    eps: float = 8
    norm: str = "linf"
    steps: int | None = None
    step_size: float | None = None
    restarts: int = 1
    eot: int = 1
    target: int | None = None
    severity: int = 1
    white_box: bool = False
