"""Fewer scans of each site, so that a slow measurement can speak of every site."""

import numpy as np

from core.evaluation.datasets import Dataset


def per_site(data: Dataset, most: int | None, seed: int) -> Dataset:
    """At most so many scans of each site, spread evenly over its sequences and classes; all of them where None.

    The same three arguments pick the same scans. A data set that states no sites is one site.
    """
    if most is None:
        return data
    return data.subset(np.sort(np.concatenate([own[:most] for own in _sites(data, seed)])))


def spread_evenly(data: Dataset, count: int, seed: int) -> Dataset:
    """So many scans in all, as many of each site as of another while it has any, each spread as by `per_site`.

    The same three arguments pick the same scans, and a smaller count picks some of these.
    """
    turns = sorted((turn, home, place) for home, own in enumerate(_sites(data, seed)) for turn, place in enumerate(own))
    return data.subset(np.sort([place for _, _, place in turns[:count]]))


def _sites(data: Dataset, seed: int) -> list[list[int]]:
    """The places of each site's scans, in such an order that the first of them are of all kinds."""
    homes = np.array(data.sites or data.collections or ("",) * len(data))
    kinds = [f"{sequence} {label}" for sequence, label in zip(data.sequences or homes, data.labels.tolist())]
    random = np.random.default_rng(seed)
    return [_spread(np.flatnonzero(homes == home), np.array(kinds), random) for home in sorted(set(homes))]


def _spread(places: np.ndarray, kinds: np.ndarray, random: np.random.Generator) -> list[int]:
    """The places in such an order that the first of them are as many of one kind as of another."""
    dealt: list[tuple[int, str, int]] = []
    for kind in sorted(set(kinds[places])):
        dealt += [(turn, kind, place) for turn, place in enumerate(random.permutation(places[kinds[places] == kind]))]
    return [place for _, _, place in sorted(dealt)]
