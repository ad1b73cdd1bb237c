"""NIfTI bytes → Scan, reading no more than the first volume."""

from __future__ import annotations

import gzip
import zlib
from io import BufferedIOBase, BytesIO

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from core.scans import limits
from core.scans.dicom.loading import SPACING_NOTE, collapsed, plausible_plane
from core.scans.dicom.pixels import check_size
from core.scans.dicom.values import finite_float32
from core.scans.scan import Scan, ScanError
from core.scans.sniffing import is_nifti
from core.scans.windowing import Window, full_window, robust_window

_CIFTI_INTENTS = range(3000, 3100)
_MAX_OFFSET = 16 * 2**20


def load_nifti(data: bytes, name: str, sha256: str) -> Scan:
    """Build a scan from a NIfTI-1 or NIfTI-2 file, plain or gzipped.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Name of the scan.
    sha256 : str
        Digest of the source.

    Returns
    -------
    Scan
        Axial slices from the feet up, anterior at the top and the patient's right on the left of the picture.
        Of a file with several volumes, the first.

    Raises
    ------
    ScanError
        Where the file is damaged, split in two files, or of a type that is no picture.
    """
    stream: BufferedIOBase = gzip.GzipFile(fileobj=BytesIO(data)) if data[:2] == b"\x1f\x8b" else BytesIO(data)
    notes: list[str] = []
    try:
        header = _header(stream, name)
        raw = _first_volume(stream, header, name, notes)
    except (OSError, EOFError, zlib.error) as error:
        raise ScanError(f"'{name}' is damaged or cut short: download it again.") from error
    frames = _axial(raw, header, notes)
    values = _values(frames, header, notes)
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
        spacing=_spacing(header, notes),
        tags=_tags(header),
        notes=tuple(notes),
        derived=None,
        sha256=sha256,
    )


def _header(stream: BufferedIOBase, name: str) -> Nifti1Header:
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
        header.get_data_shape(), header.get_data_dtype(), header.get_best_affine(), header.get_zooms()
    except Exception as error:
        raise ScanError(f"'{name}' has a damaged NIfTI header: export or download it again.") from error
    _check_header(header, name)
    return header


def _check_header(header: Nifti1Header, name: str) -> None:
    if int(header["intent_code"]) in _CIFTI_INTENTS:
        raise ScanError(f"'{name}' is a CIFTI file of values on a surface, not a picture: upload the volume instead.")
    shape = header.get_data_shape()
    if len(shape) < 2 or min(shape) < 1:
        raise ScanError(f"'{name}' has a damaged NIfTI header (shape {_by(shape)}): export or download it again.")
    if min(shape[:2]) < 2:
        raise ScanError(f"'{name}' holds {_by(shape)} values, which is no picture: upload an image volume.")
    width, height, depth = (*shape, 1)[:3]
    check_size(name, depth, height, width)
    for rows, columns in ((height, depth), (width, depth)):
        check_size(name, 1, rows, columns)
    if header.get_data_dtype().kind == "c":
        raise ScanError(f"'{name}' holds complex numbers: save their magnitude as a real volume.")


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(str(int(size)) for size in shape[:7])


def _first_volume(stream: BufferedIOBase, header: Nifti1Header, name: str, notes: list[str]) -> np.ndarray:
    """Read (X, Y, Z) stored values of the first volume."""
    shape = tuple(int(size) for size in header.get_data_shape())
    if len(shape) > 3 and int(np.prod(shape[3:], dtype=object)) > 1:
        notes.append(f"The file holds {int(np.prod(shape[3:], dtype=object))} volumes; the first is shown.")
    shape = (*shape, 1)[:3] if len(shape) < 3 else shape[:3]
    kind = header.get_data_dtype()
    offset = float(header["vox_offset"])
    if not 0 <= offset <= _MAX_OFFSET:
        raise ScanError(f"'{name}' has a damaged NIfTI header (data offset): export or download it again.")
    start = max(int(offset), int(header.single_vox_offset))
    size = int(np.prod(shape)) * kind.itemsize
    # The number of values is limited already, but a value may take 16 bytes.
    if start + size > limits.MAX_INFLATED_BYTES:
        most = limits.MAX_INFLATED_BYTES // limits.MEBIBYTE
        raise ScanError(f"'{name}' unpacks to more than {most} MB: save it with fewer slices or a smaller type.")
    stream.seek(start)
    block = stream.read(size)
    if len(block) < size:
        raise ScanError(
            f"'{name}' is cut short: its first volume needs {size} bytes and {len(block)} are there, so download it"
            " again."
        )
    return np.frombuffer(block, kind).reshape(shape, order="F")


def _axial(raw: np.ndarray, header: Nifti1Header, notes: list[str]) -> np.ndarray:
    """Turn (X, Y, Z) into (F, H, W): feet to head, anterior up, patient's right on the left."""
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        notes.append("The file does not state its orientation, so left and right may be swapped.")
    try:
        turned = nib.as_closest_canonical(_image(raw, header))
        canonical = np.asanyarray(turned.dataobj)
    except Exception:
        notes.append("The orientation in the file cannot be used, so left and right may be swapped.")
        canonical = raw
    return canonical[::-1, ::-1, :].transpose(2, 1, 0)


def _image(raw: np.ndarray, header: Nifti1Header) -> nib.spatialimages.SpatialImage:
    affine = header.get_best_affine()
    if not np.isfinite(affine).all():
        raise ValueError("The affine is not finite.")
    # A bare image of the raw values: as_closest_canonical then neither scales nor checks them.
    return nib.spatialimages.SpatialImage(raw, affine)


def _values(frames: np.ndarray, header: Nifti1Header, notes: list[str]) -> np.ndarray:
    if frames.dtype.names:
        channels = [frames[channel].astype(np.uint8) for channel in frames.dtype.names[:3]]
        return collapsed(np.stack(channels, axis=-1))
    frames = np.ascontiguousarray(frames).astype(frames.dtype.newbyteorder("="))
    slope, intercept = (float(header[field]) for field in ("scl_slope", "scl_inter"))
    # A slope of 0 means that there is no scaling (nifti1.h, scl_slope).
    if np.isfinite([slope, intercept]).all() and slope != 0 and (slope, intercept) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            frames = frames.astype(np.float64) * slope + intercept
    if frames.dtype.kind != "f":
        return frames
    if not np.isfinite(frames).all():
        notes.append("Values that are no numbers were replaced by 0.")
    return finite_float32(frames)


def _spacing(header: Nifti1Header, notes: list[str]) -> tuple[float, float, float] | None:
    """Return millimetres along the axes as shown; they follow the turn of the volume."""
    zooms = [float(zoom) for zoom in (*header.get_zooms(), 1.0, 1.0)[:3]]
    if not np.isfinite(zooms).all() or min(zooms) <= 0:
        notes.append(SPACING_NOTE)
        return None
    scale = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    order = [0, 1, 2]
    try:
        turn = nib.io_orientation(header.get_best_affine())
        for axis, target in enumerate(turn[:, 0]):
            order[int(target)] = axis
    except Exception:
        order = [0, 1, 2]
    columns, rows, slices = (zooms[axis] * scale for axis in order)
    if not plausible_plane(rows, columns) or not np.isfinite(slices):
        notes.append(SPACING_NOTE)
        return None
    return slices, rows, columns


def _tags(header: Nifti1Header) -> dict[str, str]:
    """Return what the header says of the pixels; its free texts (descrip, intent_name) may name a person."""
    kind = header.get_data_dtype()
    return {
        "Format": "NIfTI-2" if isinstance(header, Nifti2Header) else "NIfTI-1",
        "Shape": _by(header.get_data_shape()),
        "Voxel type": "RGB" if kind.names else kind.name,
    }
