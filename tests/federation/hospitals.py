"""Small hospitals, whose scans a narrow network tells apart within a few steps."""

import torch

from core.federation.plan import Plan
from core.federation.site import Site

NAMES = ("Amsel", "Birke", "Clara")


def scans(seed, count=24, shift=0.0):
    """(count, 1, 32, 32) noise, brighter by half where the label is 1, and (count,) labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    pixels = 0.3 * torch.rand((count, 1, 32, 32), generator=generator) + 0.4 * labels[:, None, None, None] + shift
    return pixels.clamp(0, 1), labels


def hospitals(names=NAMES, **more):
    """One site a name; each has two scans more than the one before it."""
    made = []
    for place, name in enumerate(names):
        pixels, labels = scans(place, 24 + 2 * place, 0.05 * place)
        made.append(Site(name, pixels, labels, **more))
    return made


def plan(**more):
    """Three rounds of a network of two channels."""
    return Plan(**({"name": "Test", "rounds": 3, "steps": 3, "batch": 8, "lr": 0.05, "width": 2, "shrink": 1} | more))
