"""The images of a federation's sites, from the data sets that hold them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.bundles import bundle_input
from core.evaluation.datasets import Dataset, DatasetError, load_joined
from core.federation.site import Site


@dataclass(frozen=True)
class SiteImages:
    """Images of one or several sites, as a bundle's networks take them.

    Attributes
    ----------
    data : Dataset
        All of them; a collection is the site of images that state none.
    channels, size, classes : int
        Of the images, and of their labels; size is a side in pixels.
    """

    data: Dataset
    channels: int
    size: int
    classes: int

    @property
    def homes(self) -> tuple[str, ...]:
        """(N,) the site of each image."""
        return self.data.sites or self.data.collections

    def counts(self) -> dict[str, int]:
        """Site → its images."""
        return dict(Counter(self.homes))

    def site(self, name: str, of: str | None = None) -> Site:
        """A hospital with the images of one site, or with all of them; DatasetError where the site has none."""
        chosen = np.arange(len(self.data)) if of is None else np.flatnonzero(np.array(self.homes) == of)
        if not len(chosen):
            raise DatasetError(
                f"The data hold no image of the site {of!r}; they have {', '.join(sorted(set(self.homes)))}."
            )
        own = self.data.subset(chosen)
        return Site(name, own.pixels, own.labels)


def load_site_images(paths: Sequence[Path], bundle: str, split: str) -> SiteImages:
    """Read data sets as a bundle's networks take them.

    Parameters
    ----------
    paths : sequence of path
        .npz or .zip, see `load_dataset`.
    bundle : str
        Whose classes, resolution and channels.
    split : str
        'train', 'val' or 'test', or 'all'.

    Raises
    ------
    DatasetError
        A file is no data set, or lacks the split.
    BundleError
        There is no such bundle.
    """
    entry = bundle_input(bundle)
    data = load_joined(entry, paths, None if split == "all" else split)
    return SiteImages(data, entry.channels, entry.resolution, len(entry.classes))
