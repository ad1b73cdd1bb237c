"""A bundle's own sample scans with their classes, for those who have no data set at hand."""

import re
from typing import NamedTuple

import torch
from torch import Tensor

from core import compute
from core.bundles import Bundle
from core.scans import load_scan
from core.scans.preparation import prepare
from core.scans.samples import sample_scans


class Samples(NamedTuple):
    """pixels (N, C, H, W) in [0, 1] of the sample scans, and labels (N,), the classes that their keys name."""

    pixels: Tensor
    labels: Tensor


def labelled_samples(bundle: Bundle) -> Samples:
    """Every sample of the bundle whose key names its class, as 'no-tumour-03' does.

    Raises
    ------
    ValueError
        The bundle has no such samples; one sentence.
    """
    keys = {re.sub(r"[^a-z0-9]+", "-", name.lower()): index for index, name in enumerate(bundle.classes)}
    samples = [(sample, keys.get(sample.key.rpartition("-")[0])) for sample in sample_scans(bundle.name)]
    known = [(sample, label) for sample, label in samples if label is not None]
    if not known:
        raise ValueError(f"The bundle {bundle.name} brings no sample scans; name a data set with --data.")
    scans = [load_scan(str(sample.path)) for sample, _ in known]
    size = bundle.resolution, bundle.channels
    pixels = torch.cat([prepare(scan.frame(), *size, scan.spacing) for scan in scans])
    labels = torch.tensor([label for _, label in known], device=compute.device())
    return Samples(pixels.to(compute.device()), labels)
