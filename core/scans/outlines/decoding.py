"""The content of a file → outlines on a scan, in this process: `reader` has it done in one that may be killed."""

from __future__ import annotations

import numpy as np

from core.scans import limits
from core.scans.archive import gunzip
from core.scans.dicom.reading import read_dicom
from core.scans.geometry import Placement
from core.scans.memory.content import Content
from core.scans.nifti.loading import load_nifti
from core.scans.outlines.dicom import is_segmentation, is_structure_set, segments, structures
from core.scans.outlines.outline import Outline, Target
from core.scans.scan import Scan, ScanError
from core.scans.sniffing import DICOM, GZIP, NIFTI

MOST = 128
MOST_MASKS = 20_000  # slices of all outlines together
_SAME = 0.1  # pixels that two grids may lie apart
_ADVICE = "upload a DICOM SEG, an RTSTRUCT or a NIfTI mask that was made on this scan"


def decode_outlines(source: Content, name: str, target: Target) -> tuple[Outline, ...]:
    """Read what a file outlines on a scan.

    Parameters
    ----------
    source : Content
        A DICOM SEG, an RTSTRUCT, or a NIfTI mask, gzipped or not.
    name : str
        File name for the messages.
    target : Target
        The scan.

    Returns
    -------
    tuple of Outline
        At least one, by number, each on at least one slice.

    Raises
    ------
    ScanError
        The file holds no outline, or one that doesn't belong to this scan; one sentence.
    """
    kind = source.kind
    if kind == GZIP:
        source, kind = gunzip(source, name, limits.MAX_INFLATED_BYTES)
    if kind == DICOM:
        found = _dicom(source, name, target)
    elif kind in (NIFTI, GZIP):
        found = _nifti(source, name, target)
    else:
        raise ScanError(f"'{name}' holds no outline: {_ADVICE}.")
    outlines = [Outline.of(number, found[number]) for number in sorted(found)]
    outlines = [outline for outline in outlines if outline.bits]
    if not outlines:
        raise ScanError(f"'{name}' outlines nothing on this scan: {_ADVICE}.")
    if len(outlines) > MOST or sum(len(outline.bits) for outline in outlines) > MOST_MASKS:
        raise ScanError(f"'{name}' holds more outlines than can be opened at once: export fewer.")
    return tuple(outlines)


def _dicom(source: Content, name: str, target: Target) -> dict[int, dict[int, np.ndarray]]:
    ds = read_dicom(source, name, image=False)
    if target.placement is None:
        raise ScanError(f"The scan doesn’t say where it lies in the patient, so '{name}' can’t be laid on it.")
    if is_segmentation(ds):
        return segments(ds, name, target, target.placement)
    if is_structure_set(ds):
        return structures(ds, name, target, target.placement)
    raise ScanError(f"'{name}' is a DICOM file without outlines: {_ADVICE}.")


def _nifti(source: Content, name: str, target: Target) -> dict[int, dict[int, np.ndarray]]:
    scan = load_nifti(source, name, "")
    values = np.asarray(scan.values)
    if scan.is_colour:
        raise ScanError(f"'{name}' is a colour picture and no mask: {_ADVICE}.")
    values = np.rint(values).astype(np.int64) if values.dtype.kind == "f" else values
    numbers = [int(number) for number in np.unique(values) if number > 0]
    if len(numbers) > MOST:
        raise ScanError(f"'{name}' holds {len(numbers)} values, so it is a picture and no mask: {_ADVICE}.")
    values = _laid(scan, values, name, target)
    found: dict[int, dict[int, np.ndarray]] = {number: {} for number in numbers}
    for frame, own in enumerate(values):
        for number in np.unique(own[own > 0]):
            found[int(number)][frame] = own == number
    return found


def _laid(scan: Scan, values: np.ndarray, name: str, target: Target) -> np.ndarray:
    """(F, H, W) values in the scan's own order; ScanError where the two grids aren't the same."""
    mismatch = ScanError(f"'{name}' lies on other pixels than this scan: {_ADVICE}.")
    if (scan.placement is None) != (target.placement is None):
        raise ScanError(f"'{name}' can’t be laid on this scan, as one of the two doesn’t say where it lies: {_ADVICE}.")
    if scan.placement is None or target.placement is None:
        if values.shape != target.shape:
            raise mismatch
        return values
    own = _grid(scan.placement, values.shape)
    if abs(np.linalg.det(own[:3, :3])) < 1e-9:
        raise mismatch
    steps = np.linalg.inv(own) @ _grid(target.placement, target.shape)  # the scan's (f, r, c, 1) → the mask's
    ends = [steps @ [*end, 1.0] for end in ((0, 0, 0), np.subtract(target.shape, 1))]
    low, high = np.minimum(*ends)[:3], np.maximum(*ends)[:3]
    order = np.abs(steps[:3, :3]).argmax(1)  # which of the scan's axes each of the mask's runs along
    straight = np.abs(np.abs(steps[:3, :3]) - np.eye(3)[order]).max() * max(values.shape) < _SAME
    if (
        sorted(order) != [0, 1, 2]
        or not straight
        or np.abs(low).max() > _SAME
        or np.abs(high - np.subtract(values.shape, 1)).max() > _SAME
    ):
        raise mismatch
    turned = values.transpose(np.argsort(order))
    backwards = [steps[int(np.flatnonzero(order == axis)[0]), axis] < 0 for axis in range(3)]
    return np.flip(turned, tuple(axis for axis in range(3) if backwards[axis]))


def _grid(placement: Placement, shape: tuple[int, ...]) -> np.ndarray:
    """(4, 4): slice, row and column, from 0 → millimetres in the patient."""
    corners, down, across = (np.array(part) for part in (placement.corners, placement.down, placement.across))
    normal = np.cross(across, down)
    step = (corners[-1] - corners[0]) / (shape[0] - 1) if shape[0] > 1 else normal / np.linalg.norm(normal)
    grid = np.eye(4)
    grid[:3] = np.stack([step, down, across, corners[0]], axis=1)
    return grid
