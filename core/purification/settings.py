"""How a scan is purified, in one record that commands, pages and tables share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PurifySettings:
    """A purifier and its strength. What a purifier doesn't take is ignored; `PURIFIERS` says what it takes.

    Attributes
    ----------
    method : str
        A name in `core.purification.catalogue.PURIFIERS`.
    t : int or None
        Noise level, a step of the diffusion in [1, 999]; the purifier's own where None.
    steps : int or None
        At least 1, and no more than `core.purification.catalogue.most_steps`; the purifier's own number where None.
    clip : float
        In 1/255: how far MAE-Pure may move a pixel.
    step_size : float or None
        In 1/255: how far MAE-Pure moves a pixel in one step at first; its own where None.
    """

    method: str = "adaptive"
    t: int | None = None
    steps: int | None = None
    clip: float = 16
    step_size: float | None = None
