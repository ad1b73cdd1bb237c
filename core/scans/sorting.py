"""Which of several files belong together, told without decoding a pixel where that can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from core.scans.dicom.attributes import reference_digest, series_digest
from core.scans.dicom.reading import read_dicom
from core.scans.memory.content import Content
from core.scans.nifti.loading import is_mask
from core.scans.outlines.dicom import is_segmentation, is_structure_set
from core.scans.scan import ScanError
from core.scans.sniffing import DICOM, GZIP, NIFTI


class FileFacts(NamedTuple):
    """What a file is to the others.

    series: what tells its DICOM series from others, as `Scan.series`; None where it is none, or can't be read.
    outlines: whether it is a DICOM SEG, an RTSTRUCT or a NIfTI mask. reference: its frame of reference, as
    `Placement.reference`.
    """

    series: str | None = None
    outlines: bool = False
    reference: str | None = None

    @classmethod
    def from_facts(cls, facts: Sequence[Any]) -> FileFacts:
        """The facts of which JSON told; TypeError where they are none."""
        series, outlines, reference = facts
        if not all(text is None or isinstance(text, str) for text in (series, reference)):
            raise TypeError("No facts about a file.")
        return cls(series, bool(outlines), reference)


def file_facts(content: Content) -> FileFacts:
    """Read a DICOM header, or the values of what may be a NIfTI mask; nothing is raised for what can't be read."""
    if content.kind != DICOM:
        return FileFacts(outlines=content.kind in (NIFTI, GZIP) and is_mask(content))
    try:
        ds = read_dicom(content, "", image=False)
    except ScanError:
        return FileFacts()
    return FileFacts(series_digest(ds), is_segmentation(ds) or is_structure_set(ds), reference_digest(ds))
