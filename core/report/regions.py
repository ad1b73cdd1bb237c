"""A case's region of interest: taken from a file of the cohort, and what purification did there as plain numbers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from core.fidelity.region import Region, RegionError
from core.fidelity.region_fidelity import RegionFidelity, region_fidelity
from core.scans import Scan, ScanError
from core.scans.geometry import Spacing
from core.scans.loading import begin_outlines
from core.scans.memory.content import Buffer

NUMBERS = ("verdict", "source", "problem", "pixels", "contrast", "size", "edge", "ssim", "moved", "appeared",
           "vanished", "elsewhere_contrast", "elsewhere_size", "elsewhere_edge", "elsewhere_ssim")  # fmt: skip

_MASK_WORDS = ("mask", "masks", "seg", "segmentation", "label", "labels", "roi", "lesion", "tumour", "tumor")


@dataclass(frozen=True)
class OutlineFile:
    """A DICOM SEG, an RTSTRUCT or a NIfTI mask of the cohort.

    Attributes
    ----------
    name, sha256 : str
        Of the file, and of its content.
    read : callable
        → its content.
    reference : str or None
        What tells the frame of reference that it lies in, as `Placement.reference`; None where it states none.
    """

    name: str
    read: Callable[[], Buffer]
    sha256: str
    reference: str | None


def may_outline(file: OutlineFile, scan: str, alone: bool) -> bool:
    """Whether a file may be about a scan of this name.

    A DICOM file says itself what it was made on. A NIfTI mask doesn't, and those of many patients lie on one grid:
    where the scan isn't `alone` in its cohort, its name must begin as the mask's, words such as ``mask`` and ``seg``
    left out: ``case-07_seg.nii.gz`` outlines ``case-07_t1.nii.gz``.
    """
    if alone or not file.name.lower().endswith((".nii", ".nii.gz")):
        return True
    words = [word for word in _words(file.name) if word not in _MASK_WORDS]
    return bool(words) and _words(scan)[: len(words)] == words


def _words(name: str) -> list[str]:
    stem = PurePath(name.lower()).name.removesuffix(".gz").removesuffix(".nii")
    return [word for word in re.split(r"[^a-z0-9]+", stem) if word]


def outlined_region(files: Sequence[OutlineFile], scan: Scan, frame: int) -> Region | None:
    """The first outline on a frame of a scan, of the first file that was made on it; None where there is none."""
    place = scan.placement and scan.placement.reference
    for file in files:
        if place and file.reference and place != file.reference:
            continue
        try:
            outlines = begin_outlines(file.read(), scan, file.name).outlined()
        except ScanError:
            continue  # it was made on another scan
        for outline in outlines:
            if frame in outline.bits:
                return Region(outline.masks[frame], frame, "file")
    return None


def measured_region(region: Region, before: np.ndarray, after: np.ndarray, spacing: Spacing) -> RegionFidelity | str:
    """What purification did in a region against elsewhere, or one sentence why that can't be said.

    Parameters
    ----------
    region : Region
        On the slice that both images are of.
    before, after : ndarray
        (C, R, R) in [0, 1], as `core.fidelity.region_fidelity.region_fidelity` takes them.
    spacing : tuple or None
        The scan's.
    """
    try:
        return region_fidelity(before, after, region.at(before.shape[-1], spacing))
    except RegionError as error:
        return str(error)


def region_numbers(region: Region, found: RegionFidelity | str) -> dict[str, Any]:
    """What `measured_region` found, by those of the `NUMBERS` that there are; no pixels.

    Where nothing can be measured, ``problem`` says why, and nothing else is there but the region's source.
    """
    if isinstance(found, str):
        return {"source": region.source, "problem": found}
    elsewhere = {f"elsewhere_{name}": value for name, value in found.elsewhere._asdict().items()}
    known = {"verdict": found.verdict, "source": region.source, "pixels": found.pixels}
    known |= found.here._asdict() | elsewhere
    return {name: known[name] for name in NUMBERS if name in known}
