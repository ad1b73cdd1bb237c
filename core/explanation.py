"""Where a classifier looked: which parts of a scan its answer rests on."""

import numpy as np
import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from core import compute

WINDOW = 16
STRIDE = 8
AT_ONCE = 32


def saliency(pixels: np.ndarray, classifier: nn.Module) -> np.ndarray:
    """How much the classifier's own answer loses where a part of the scan is covered (Zeiler & Fergus 2014, section 4).

    A black square of 16 × 16 pixels is moved over the scan in steps of 8. Unlike a gradient it asks about changes that
    one can see, and it sets no hook on a network that visitors share.

    Parameters
    ----------
    pixels : ndarray
        (C, H, W) in [0, 1], at least 16 × 16 pixels.
    classifier : Module
        (B, C, H, W) → (B, classes) logits.

    Returns
    -------
    ndarray
        (rows, columns), one value for 8 × 8 pixels, not negative: log odds of the answer that are lost on average while
        they are covered; 0 where covering them makes the answer surer.

    Raises
    ------
    ValueError
        The pixels have another shape; one sentence.
    """
    if pixels.ndim != 3 or min(pixels.shape[1:]) < WINDOW:
        raise ValueError(f"Saliency needs pixels (C, H, W) of at least {WINDOW} × {WINDOW}, not {pixels.shape}.")
    batch = torch.from_numpy(pixels).unsqueeze(0).to(compute.device())
    with torch.no_grad():
        label = int(classifier(batch).argmax(1))
        lost = Occlusion(lambda covered: log_odds(classifier(covered), label)).attribute(
            batch,
            sliding_window_shapes=(len(pixels), WINDOW, WINDOW),
            strides=(len(pixels), STRIDE, STRIDE),
            perturbations_per_eval=AT_ONCE,
        )
    return lost[0].mean(0)[::STRIDE, ::STRIDE].clamp(min=0).cpu().numpy()


def log_odds(logits: Tensor, label: int) -> Tensor:
    """(B, classes) logits → (B,) log odds of one class: unlike its probability they don't saturate."""
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1)
    return logits[:, label] - others.logsumexp(1)
