"""Hospitals: the real sites of several collections, or invented ones that share one collection out among themselves.

Invented ones are dealt images as unevenly as hospitals see patients, and show them as each would scan them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

SMALLEST_SHARE = 0.1


@dataclass(frozen=True)
class Hospital:
    """One site of a federation: whom it has seen, and how its scanner shows them.

    Attributes
    ----------
    name, description : str
        What the site is called, and in one sentence what it is or how its scanner differs.
    indices : tuple of int
        Its images, as places in the collection that was dealt out.
    gain, gamma : float
        A pixel x in [0, 1] becomes gain · x^gamma; as these and the next two stand, scans stay as they were taken.
    coarseness : float
        Pixels of the collection in one pixel of this scanner, along each side; at least 1.
    noise : float
        Standard deviation σ of the noise in each of the two receiver channels, in pixel units.
    """

    name: str
    description: str
    indices: tuple[int, ...]
    gain: float = 1.0
    gamma: float = 1.0
    coarseness: float = 1.0
    noise: float = 0.0


class Profile(TypedDict):
    """A hospital before it has seen anybody; what each entry means is said in `Hospital`."""

    name: str
    description: str
    gain: float
    gamma: float
    coarseness: float
    noise: float


PROFILES: tuple[Profile, ...] = (
    {
        "name": "University hospital",
        "description": "A sharp scanner with hardly any noise, and intensities as the collection has them.",
        "gain": 1.0,
        "gamma": 1.0,
        "coarseness": 1.0,
        "noise": 0.01,
    },
    {
        "name": "District hospital",
        "description": "Half the resolution, darker and with harder contrast, some noise.",
        "gain": 0.85,
        "gamma": 1.3,
        "coarseness": 2.0,
        "noise": 0.03,
    },
    {
        "name": "Mobile unit",
        "description": "Two thirds of the resolution, bright and with flat contrast, much noise.",
        "gain": 1.15,
        "gamma": 0.75,
        "coarseness": 1.5,
        "noise": 0.06,
    },
)


def make_hospitals(
    labels: Sequence[int], groups: Sequence[str], count: int = 3, alpha: float = 0.5, seed: int = 0
) -> tuple[Hospital, ...]:
    """Deal a collection out to hospitals with label skew, every image to one of them.

    Each class is dealt out in shares drawn from a Dirichlet distribution (Yurochkin et al. 2019, section 4), once
    everybody is sure of a tenth of it and of at least one group.

    Parameters
    ----------
    labels : sequence of int
        (N,) class indices.
    groups : sequence of str
        (N,) near-duplicate groups; one is never split between hospitals, and counts as of its commonest class.
    count : int
        Hospitals, at most as many as PROFILES describes.
    alpha : float
        Concentration of the Dirichlet distribution, above 0: the smaller, the more the hospitals differ.
    seed : int
        The same seed deals out the same way.

    Raises
    ------
    ValueError
        Too many hospitals, no such concentration, or a class with fewer groups than hospitals.
    """
    if not 1 <= count <= len(PROFILES):
        raise ValueError(f"The number of hospitals must be from 1 to {len(PROFILES)}, not {count}.")
    if not alpha > 0:
        raise ValueError(f"The concentration alpha must be above 0, not {alpha}.")
    if len(labels) != len(groups):
        raise ValueError(f"There are {len(labels)} labels and {len(groups)} groups; each image needs one of both.")
    random = np.random.default_rng(seed)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sizes, classes = np.bincount(member), _commonest(member, np.asarray(labels))
    site = np.empty(len(sizes), dtype=int)
    for label in np.unique(classes):
        own = random.permutation(np.flatnonzero(classes == label))
        if len(own) < count:
            raise ValueError(f"Class {label} has only {len(own)} groups for {count} hospitals; use fewer hospitals.")
        shares = SMALLEST_SHARE + (1 - count * SMALLEST_SHARE) * random.dirichlet([alpha] * count)
        site[own] = _dealt(sizes[own], shares)
    return tuple(
        Hospital(indices=tuple(np.flatnonzero(site[member] == place).tolist()), **profile)
        for place, profile in enumerate(PROFILES[:count])
    )


def real_hospitals(
    sites: Sequence[str], known: Mapping[str, tuple[str, str]], smallest: int = 100
) -> tuple[Hospital, ...]:
    """The sites where the scans of several collections were taken, each with its own scans as they are.

    Parameters
    ----------
    sites : sequence of str
        (N,) where each image was taken.
    known : mapping of str to (str, str)
        Site → what it is called, and what it is in one sentence; a site that isn't in it goes by its own name.
    smallest : int
        Images that a site needs: one with fewer can't train anything of its own, and takes no part.
    """
    homes = np.asarray(sites)
    named = {site: known.get(site, (site, "A site of the collection.")) for site in sorted(set(sites))}
    places = {site: tuple(np.flatnonzero(homes == site).tolist()) for site in named}
    return tuple(Hospital(*named[site], own) for site, own in places.items() if len(own) >= smallest)


def site_look(pixels: Tensor, hospital: Hospital, generator: torch.Generator) -> Tensor:
    """Scans as this hospital's scanner would show them.

    Coarser sampling comes first, then gain and gamma, then the noise of a magnitude image: |x + n₁ + i n₂| with both
    n drawn from N(0, σ²), which is Rician (Gudbjartsson & Patz 1995, eq. 1 is its density).

    Parameters
    ----------
    pixels : Tensor
        (B, C, H, W) in [0, 1].
    hospital : Hospital
        Only its profile is used, so that the scans may be anybody's.
    generator : Generator
        On the CPU; draws the noise.

    Returns
    -------
    Tensor
        (B, C, H, W) in [0, 1].
    """
    size = pixels.shape[-2:]
    if hospital.coarseness > 1:
        coarse = [round(side / hospital.coarseness) for side in size]
        small = interpolate(pixels, coarse, mode="bilinear", align_corners=False, antialias=True)
        pixels = interpolate(small, size, mode="bilinear", align_corners=False)
    shown = hospital.gain * pixels**hospital.gamma
    real, imaginary = hospital.noise * torch.randn((2, *shown.shape), generator=generator).to(shown)
    return torch.hypot(shown + real, imaginary).clamp(0, 1)


def every_look(pixels: Tensor, hospitals: Sequence[Hospital], seed: int = 0) -> Tensor:
    """(B, C, H, W) scans as each of K hospitals would show them: (K, B, C, H, W), to be measured pooled over sites."""
    looks = [site_look(pixels, each, torch.Generator().manual_seed(seed + k)) for k, each in enumerate(hospitals)]
    return torch.stack(looks)


def _commonest(member: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class that most images of each group have, the lower one where two are equally common."""
    counts = np.zeros((member.max() + 1, labels.max() + 1), dtype=int)
    np.add.at(counts, (member, labels), 1)
    return counts.argmax(1)


def _dealt(sizes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """For each group of a class, in order, the hospital it goes to: one each first, then by shares of the images."""
    rest = sizes[len(shares) :]
    middles = (rest.cumsum() - rest / 2) / max(rest.sum(), 1)
    places = np.searchsorted(shares.cumsum(), middles).clip(max=len(shares) - 1)
    return np.r_[np.arange(len(shares)), places]
