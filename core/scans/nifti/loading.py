"""NIfTI bytes → Scan, reading no further than the volume that is asked for."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import BinaryIO, cast

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from core.scans import limits
from core.scans.dicom.values import finite_float32
from core.scans.memory.content import Content
from core.scans.memory.scaled import STRAIGHT, Line, Values, on_lines, stays_stored
from core.scans.memory.volume import collapsed, shared_array
from core.scans.nifti.header import by, read_header
from core.scans.nifti.view import View, placement_of, plane_of_slices, spacing_of, view_of
from core.scans.scan import Scan, ScanError, checked_volume, volume_note
from core.scans.windowing import Window, full_window, robust_window

_MOST_NUMBERS = 64
"""Parts that a segmentation names, and a picture has more grey values."""

_MAX_OFFSET = 16 * 2**20


def load_nifti(content: Content, name: str, sha256: str, volume: int = 0) -> Scan:
    """Build a scan from a NIfTI-1 or NIfTI-2 file, plain or gzipped.

    Parameters
    ----------
    content : Content
        The file.
    name : str
        Name of the scan.
    sha256 : str
        Digest of the source.
    volume : int
        Which of several volumes, from 0.

    Returns
    -------
    Scan
        Axial slices from the feet up, anterior at the top and the patient's right on the left of the picture. A file
        of one sagittal or coronal slice is shown in that plane, the head at the top, anterior or the right on the left.

    Raises
    ------
    ScanError
        Where the file is damaged, split in two files, or of a type that is no picture.
    """
    stream, notes = plain_stream(content), list[str]()
    try:
        header, unknown = read_header(stream, name)
        count = int(np.prod(header.get_data_shape()[3:], dtype=object))
        if count > 1:
            notes.append(volume_note(checked_volume(volume, count, name), count))
        _seek(stream, header, name, checked_volume(volume, count, name))
        shape = _shape(header)
        view = view_of(header, shape, notes)
        values, plane = _values(stream, header, view, name, notes), plane_of_slices(header, view)
    except (OSError, EOFError, zlib.error) as error:
        raise ScanError(f"'{name}' is damaged or cut short: download it again.") from error
    windows: tuple[Window, ...] = ()
    if values.ndim == 3:
        windows = (robust_window(values), full_window(values))
    return Scan(
        name=name,
        kind="nifti",
        values=values,
        modality=None,
        windows=windows,
        inverted=False,
        spacing=spacing_of(header, unknown, view, len(values), notes),
        tags=_tags(header),
        notes=tuple(notes),
        derived=None,
        sha256=sha256,
        plane=plane,
        axes=view.letters() if plane else None,
        placement=placement_of(header, view, shape),
        volume=volume,
        volume_count=count,
    )


def is_mask(content: Content) -> bool:
    """Whether a file holds a volume of few whole numbers, 0 among them, as a segmentation does; no bad one does."""
    try:
        stream = plain_stream(content)
        header, _ = read_header(stream, "")
        kind, shape = header.get_data_dtype(), header.get_data_shape()
        if kind.names or kind.kind == "c" or math.prod(shape[3:]) != 1:
            return False
        _seek(stream, header, "", 0)
        found, size = set[float](), math.prod(shape[:2]) * kind.itemsize
        for _ in range(_shape(header)[2]):
            plane = stream.read(size)
            if len(plane) < size:
                return False
            found |= set(np.unique(np.frombuffer(plane, kind)).tolist())
            if len(found) > _MOST_NUMBERS:
                return False
    except (ScanError, OSError, EOFError, zlib.error):
        return False
    return len(found) > 1 and 0 in found and all(number >= 0 and float(number).is_integer() for number in found)


def plain_stream(content: Content) -> BinaryIO:
    """A file to read from, gzipped or not."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=content.stream)) if content.head[:2] == b"\x1f\x8b" else content.stream


def _shape(header: Nifti1Header) -> tuple[int, int, int]:
    across, down, deep = (int(size) for size in (*header.get_data_shape(), 1)[:3])
    return across, down, deep


def _seek(stream: BinaryIO, header: Nifti1Header, name: str, volume: int) -> None:
    """Go to where the values of one volume begin."""
    offset = float(header["vox_offset"])
    if not 0 <= offset <= _MAX_OFFSET:
        raise ScanError(f"'{name}' has a damaged NIfTI header (data offset): export or download it again.")
    start = max(int(offset), int(header.single_vox_offset))
    size = math.prod(_shape(header)) * header.get_data_dtype().itemsize
    start += volume * size
    # The number of values is limited already, but a value may take 16 bytes.
    if start + size > limits.MAX_INFLATED_BYTES:
        most = limits.MAX_INFLATED_BYTES // limits.MEBIBYTE
        raise ScanError(f"'{name}' unpacks to more than {most} MB: save it with fewer slices or a smaller type.")
    stream.seek(start)


def _values(stream: BinaryIO, header: Nifti1Header, view: View, name: str, notes: list[str]) -> Values:
    """Read the frames of a volume, a stored plane at a time."""
    (width, height, depth), kind = _shape(header), header.get_data_dtype()
    size, frames, line = width * height * kind.itemsize, None, _line(header)
    stays = stays_stored(kind, line)
    for place in range(depth):
        block = stream.read(size)
        if len(block) < size:
            needed, there = depth * size, place * size + len(block)
            raise ScanError(
                f"'{name}' is cut short: the volume needs {needed} bytes and {there} are there, so download it again."
            )
        plane = _plane(
            np.frombuffer(block, kind).reshape((width, height), order="F"), STRAIGHT if stays else line, notes
        )
        if frames is None:
            frames = _room(view, (width, height, depth), plane, name)
            stored = view.stored(frames)
        stored[:, :, place] = plane
    assert frames is not None, "the header has been checked"
    if frames.ndim == 4:
        return collapsed(frames)
    return on_lines(frames, [line] * len(frames)) if stays else frames


def _room(view: View, shape: tuple[int, int, int], plane: np.ndarray, name: str) -> np.ndarray:
    frames = tuple(shape[axis] for axis in view.stored_axes())
    return shared_array((*frames, *plane.shape[2:]), plane.dtype, name)


def _line(header: Nifti1Header) -> Line:
    """What makes values of the stored ones; a slope of 0 means that they are stored (nifti1.h, scl_slope)."""
    slope, intercept = (float(header[field]) for field in ("scl_slope", "scl_inter"))
    return (slope, intercept) if np.isfinite([slope, intercept]).all() and slope != 0 else STRAIGHT


def _plane(stored: np.ndarray, line: Line, notes: list[str]) -> np.ndarray:
    """A plane of stored values (X, Y) as they are shown: scaled, real, finite; colour (X, Y, 3)."""
    if stored.dtype.names:
        return np.stack([stored[channel].astype(np.uint8) for channel in stored.dtype.names[:3]], axis=-1)
    values = stored.astype(stored.dtype.newbyteorder("="))
    if line != STRAIGHT:
        slope, intercept = line
        with np.errstate(over="ignore", invalid="ignore"):
            values = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64) * slope + intercept
    if values.dtype.kind == "c":
        _note("The values are complex numbers, of which the magnitude is shown.", notes)
        values = np.abs(values)
    if values.dtype.kind != "f":
        return values
    if not np.isfinite(values).all():
        _note("Values that are no numbers were replaced by 0.", notes)
    return finite_float32(values)


def _note(note: str, notes: list[str]) -> None:
    if note not in notes:
        notes.append(note)


def _tags(header: Nifti1Header) -> dict[str, str]:
    """Return what the header says of the pixels; its free texts (descrip, intent_name) may name a person."""
    kind = header.get_data_dtype()
    return {
        "Format": "NIfTI-2" if isinstance(header, Nifti2Header) else "NIfTI-1",
        "Shape": by(header.get_data_shape()),
        "Voxel type": "RGB" if kind.names else kind.name,
    }
