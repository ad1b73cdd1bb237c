"""NIfTI-1 and NIfTI-2 headers, checked."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from core.scans.dicom.pixels import check_size
from core.scans.scan import ScanError
from core.scans.sniffing import is_nifti

_CIFTI_INTENTS = range(3000, 3100)


def read_header(stream: BinaryIO, name: str) -> tuple[Nifti1Header, set[int]]:
    """Read the header of a plain stream.

    Returns
    -------
    tuple of Nifti1Header and set of int
        With positive distances between voxels; and the stored axes of which the file tells none.

    Raises
    ------
    ScanError
        Where it is damaged, split in two files, or of a type that is no picture.
    """
    block = stream.read(540)
    if not is_nifti(block):
        raise ScanError(
            f"'{name}' is compressed with gzip but holds no NIfTI volume: unpack it and upload what is inside."
        )
    kind: type[Nifti1Header]
    if 540 in (int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")):
        kind, magic = Nifti2Header, block[4:8]
    else:
        kind, magic = Nifti1Header, block[344:348]
    if magic[:3] in (b"ni1", b"ni2"):
        raise ScanError(f"'{name}' is one half of a pair (.hdr and .img): convert the pair to one .nii file.")
    if magic[:3] not in (b"n+1", b"n+2"):
        raise ScanError(f"'{name}' is an Analyze header, which holds no picture: convert the pair to one .nii file.")
    try:
        header = kind(block[: kind.template_dtype.itemsize], check=False)
        unknown = _repair_spacing(header)
        header.get_data_shape(), header.get_data_dtype(), header.get_best_affine(), header.get_zooms()
    except Exception as error:
        raise ScanError(f"'{name}' has a damaged NIfTI header: export or download it again.") from error
    _check_header(header, name)
    return header, unknown


def _repair_spacing(header: Nifti1Header) -> set[int]:
    """Make the distances between voxels (pixdim) positive; return the axes of which the file tells none."""
    zooms = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    lengths = np.linalg.norm(header.get_sform()[:3, :3], axis=0) if int(header["sform_code"]) > 0 else np.zeros(3)
    unknown = set()
    for axis, length in enumerate(lengths):
        if not (np.isfinite(zooms[axis]) and zooms[axis] > 0):
            told = bool(np.isfinite(length)) and length > 0
            zooms[axis] = length if told else 1.0
            unknown |= set() if told else {axis}
    header["pixdim"][1:4] = zooms
    return unknown


def _check_header(header: Nifti1Header, name: str) -> None:
    if int(header["intent_code"]) in _CIFTI_INTENTS:
        raise ScanError(f"'{name}' is a CIFTI file of values on a surface, not a picture: upload the volume instead.")
    shape = header.get_data_shape()
    if len(shape) < 2 or min(shape) < 1:
        raise ScanError(f"'{name}' has a damaged NIfTI header (shape {by(shape)}): export or download it again.")
    if sorted((*shape, 1, 1)[:3])[1] < 2:
        raise ScanError(f"'{name}' holds {by(shape)} values, which is no picture: upload an image volume.")
    width, height, depth = (*shape, 1)[:3]
    check_size(name, depth, height, width)
    for rows, columns in ((height, depth), (width, depth)):
        check_size(name, 1, rows, columns)


def by(shape: tuple[int, ...]) -> str:
    """A shape to show."""
    return " × ".join(str(int(size)) for size in shape[:7])
