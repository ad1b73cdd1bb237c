"""Differentially private training on a site (DP-SGD, Abadi et al. 2016), and the account of it over all rounds.

What it promises: whoever sees all that the site has sent can tell only so well, (ε, δ), whether any one scan was among
those that it trained on. The account is Opacus's, an extra (`requirements-federation.txt`).
"""

import math
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

MISSING = (
    "A site's account of its privacy is kept by Opacus, which isn't installed: "
    "pip install -r requirements-federation.txt adds it."
)


@dataclass(frozen=True)
class Privacy:
    """What a site allows whoever sees its updates to learn of any one of its scans, and how it keeps to that.

    Attributes
    ----------
    epsilon : float
        The budget over all rounds of all federations, above 0: the site trains in no round that would pass it.
    delta : float
        With how much chance the promise may fail, in (0, 1); below one over the number of scans.
    clip : float
        Largest norm of one scan's gradient; longer ones are scaled down to it.
    noise : float
        Every number of a step's sum of gradients gets N(0, (noise · clip)²) added; above 0.
    """

    epsilon: float = 8.0
    delta: float = 1e-5
    clip: float = 1.0
    noise: float = 1.0

    def __post_init__(self):
        values = (self.epsilon, self.delta, self.clip, self.noise)
        if not all(math.isfinite(value) and value > 0 for value in values) or self.delta >= 1:
            raise ValueError("privacy's epsilon, clip and noise must be numbers above 0, and delta lie in (0, 1).")


def normal_noise(like: Tensor, sigma: float, random: np.random.Generator) -> Tensor:
    """N(0, σ²) in the shape of `like`, of its type and where it lies.

    NumPy draws it: of a seed PyTorch's generator takes 32 bits, which can be tried one after another.
    """
    return torch.from_numpy(sigma * random.standard_normal(tuple(like.shape))).to(like)


def check_installed() -> None:
    """ValueError, one sentence, where what keeps the account is missing."""
    if find_spec("opacus") is None:
        raise ValueError(MISSING)
