"""MaskDiT-Pure (MAE-Pure, section 4.2): descent on the reconstruction loss of a masked diffusion transformer."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from core.bundles import Bundle, family_of
from core.models.mae import visible_patches
from core.models.mask_dit import MaskDiT
from core.purification.mae_pure import STEP_SIZE, descend, hidden_error
from core.purification.one_step import shared_noise
from core.purification.steps import PurifierStep

MASK_RATE = 0.5  # table 14


def mask_dit_pure(
    pixels: Tensor,
    bundle: Bundle,
    *,
    t: int,
    steps: int,
    clip: float,
    step_size: float | None,
    generator: torch.Generator,
    robust: bool = False,
    rate: float = MASK_RATE,
    **_: object,
) -> Iterator[PurifierStep]:
    """Descend the error of the hidden half, predicted from the visible half after noise to `t` was added.

    Masks and noise are new in every step and the same for each image of the batch. Like MAE-Pure's, the step is halved
    after half of the steps, which table 13 has for the MAE alone.

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    t : int
        In [1, 999], and small (table 12: 15 to 30): the noise is there because the network has seen no scan without.
    clip : float
        In 1/255: no value moves farther than this from where it was.
    step_size : float, optional
        In 1/255; 1 by default.
    robust : bool
        With the network that was fine-tuned on attacks (RMaskDiT-Pure).
    rate : float
        The share of the patches that a mask hides (table 14), above 0 and below 1.
    """
    network: MaskDiT = family_of(bundle, "robust_mask_dit" if robust else "mask_dit")
    loss, length = DenoisingLoss(network, t, generator), step_size or STEP_SIZE
    for step in descend(pixels, loss, network.patch_count, steps, clip, length, generator, rate=rate):
        yield replace(step, t=t, noisy=loss.noisy)


class DenoisingLoss:
    """What MaskDiT-Pure descends: `hidden_error`, the visible patches having been noised to `t`.

    `noisy` (B, C, H, W) in [−1, 1] units is what the network was given in the last call.
    """

    def __init__(self, network: MaskDiT, t: int, generator: torch.Generator):
        self.network, self.t, self.generator = network, t, generator
        self.noisy: Tensor | None = None

    def __call__(self, moved: Tensor, mask: Tensor) -> Tensor:
        """(B, C, H, W) pixels and (1, N) mask, True where hidden → (B,)."""
        level = torch.full((len(moved),), self.t, device=moved.device)
        noisy = self.network.diffuse(moved, level, shared_noise(moved, self.generator))
        visible = visible_patches(mask).expand(len(moved), -1)
        made = self.network.denoise(noisy, level, visible).picture
        self.noisy = noisy.detach()
        return hidden_error(moved, made, mask, self.network.patch)
