"""What every purifier yields."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PurifierStep:
    """One step of a purifier.

    index 0, 1, …; t the diffusion step that `noisy` stands at, None where there is no noise or the images of a batch
    stand at different ones; noisy (B, C, H, W) in [−1, 1] units, None where there is no noise; estimate (B, C, H, W)
    in [0, 1] after the step; loss (B,) what a descent descends, of each image before the step, None elsewhere.
    """

    index: int
    t: int | None
    noisy: Tensor | None
    estimate: Tensor
    loss: Tensor | None = None
