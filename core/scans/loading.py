"""The one door: a path, bytes or a file object → Scan, or one sentence that says why not."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path, PurePath
from typing import BinaryIO

import numpy as np

from core.scans import limits
from core.scans.archive import read_folder, unpack
from core.scans.dicom.loading import load_dicom
from core.scans.nifti import load_nifti
from core.scans.raster import RANGE_NOTE, load_raster, picture_windows
from core.scans.scan import Scan, ScanError
from core.scans.sniffing import DICOM, GZIP, NIFTI, RASTERS, ZIP, refusal, sniff
from core.scans.text import one_line

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

_EXTENSIONS = {
    ".dcm": DICOM, ".dicom": DICOM, ".ima": DICOM, ".nii": NIFTI, ".gz": GZIP, ".zip": ZIP, ".png": "PNG",
    ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".webp": "WebP", ".gif": "GIF",
    ".pdf": "PDF", ".txt": "text", ".doc": "Word", ".docx": "Word",
}  # fmt: skip


def load_scan(source: Source, name: str | None = None) -> Scan:
    """Open a scan, whatever its format.

    Parameters
    ----------
    source : str, os.PathLike, bytes or binary file object
        A file, the folder of a DICOM series, or the content of a file.
    name : str, optional
        File name to show; by default that of the path or of the file object.

    Returns
    -------
    Scan
        DICOM (one file, or a series in a folder or ZIP), NIfTI (.nii, .nii.gz), PNG, JPEG, TIFF, BMP, WebP, or the
        first frame of a GIF.

    Raises
    ------
    ScanError
        One sentence that says what is wrong and what to do. Nothing else is ever raised.
    """
    shown = "upload"
    try:
        shown = _shown_name(source, name)
        return _load(source, shown)
    except ScanError:
        raise
    except MemoryError as error:
        raise ScanError(f"'{shown}' needs more memory than there is: make it smaller or split it.") from error
    except Exception as error:
        raise ScanError(f"'{shown}' could not be opened, as it is damaged or unusual: export it again.") from error


def _shown_name(source: Source, name: str | None) -> str:
    if name is None and isinstance(source, (str, os.PathLike)):
        name = PurePath(os.path.abspath(source)).name
    if name is None:
        given = getattr(source, "name", None)
        name = PurePath(given).name if isinstance(given, str) else None
    return one_line(name or "upload") or "upload"


def _load(source: Source, name: str) -> Scan:
    if source == "":
        raise ScanError("No file was named: give the path of a scan.")
    if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
        files = read_folder(Path(source), name)
        return _load_many(files, name, _digest(files))
    data = _read(source, name)
    if not data:
        raise ScanError(f"'{name}' is empty: export or download it again.")
    sha256 = hashlib.sha256(data).hexdigest()
    kind = sniff(data)
    if kind == ZIP:
        return _with_name_note(_load_many(unpack(data, name), name, sha256), name, kind)
    return _with_name_note(_load_one(data, kind, name, sha256), name, kind)


def _read(source: Source, name: str) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        _check_upload(len(source), name)
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(Path(source), name)
    if not hasattr(source, "read"):
        raise ScanError(f"A scan is opened from a path, bytes or a file, not from {type(source).__name__}.")
    data = source.read(limits.MAX_UPLOAD_BYTES + 1)
    if not isinstance(data, bytes):
        raise ScanError(f"'{name}' was opened as text: open it in binary mode.")
    _check_upload(len(data), name)
    return data


def _read_path(path: Path, name: str) -> bytes:
    if not path.exists():
        raise ScanError(f"There is no file '{name}' at this place: check the path.")
    if not path.is_file():
        raise ScanError(f"'{name}' is neither a file nor a folder: choose one of these.")
    _check_upload(path.stat().st_size, name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScanError(f"'{name}' cannot be read from the disk: check its permissions.") from error


def _check_upload(size: int, name: str) -> None:
    if size > limits.MAX_UPLOAD_BYTES:
        most = limits.MAX_UPLOAD_BYTES // limits.MEBIBYTE
        raise ScanError(f"'{name}' is larger than {most} MB: upload fewer slices or a smaller file.")


def _digest(files: list[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for _, data in files:
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def _load_one(data: bytes, kind: str | None, name: str, sha256: str) -> Scan:
    if kind == DICOM:
        return load_dicom([(name, data)], name, sha256)
    if kind in (NIFTI, GZIP):
        return load_nifti(data, name, sha256)
    if kind in RASTERS:
        return load_raster(data, kind, name, sha256)
    what, advice = refusal(data)
    raise ScanError(f"'{name}' is {what}: {advice}.")


def _load_many(files: list[tuple[str, bytes]], name: str, sha256: str) -> Scan:
    kinds = [(sniff(data), file, data) for file, data in files]
    dicom = [(file, data) for kind, file, data in kinds if kind == DICOM]
    others = [(kind, file, data) for kind, file, data in kinds if kind in (NIFTI, GZIP, *RASTERS)]
    if dicom:
        scan = load_dicom(dicom, name, sha256)
        return _with_left_out(scan, len(files) - len(dicom))
    if len(others) == 1:
        kind, _, data = others[0]
        return _with_left_out(_load_one(data, kind, name, sha256), len(files) - 1)
    if others and all(kind in RASTERS for kind, _, _ in others):
        return _with_left_out(_stacked(others, name, sha256), len(files) - len(others))
    if others:
        raise ScanError(f"'{name}' holds {len(others)} volumes: upload one of them by itself.")
    if len(files) == 1:
        return _load_one(files[0][1], None, name, sha256)
    raise ScanError(f"'{name}' holds no scan: choose a folder or ZIP with DICOM, NIfTI or pictures.")


def _stacked(pictures: list[tuple[str, str, bytes]], name: str, sha256: str) -> Scan:
    """Stack pictures of one size as slices, in the order of their names."""
    scans = []
    total = 0
    for kind, file, data in sorted(pictures, key=lambda picture: _natural(picture[1])):
        scan = load_raster(data, kind, one_line(PurePath(file).name), "")
        total += scan.values.size
        if total > limits.MAX_VALUES:
            raise ScanError(f"'{name}' holds more pictures than can be opened at once: pack fewer.")
        scans.append(scan)
    first = scans[0]
    if len({(scan.values.shape[1:], scan.values.dtype) for scan in scans}) > 1:
        raise ScanError(f"'{name}' holds pictures of different sizes or kinds: upload them one by one.")
    values = np.concatenate([scan.values for scan in scans])
    notes = [note for note in first.notes if note != RANGE_NOTE]
    notes.append(f"{len(scans)} pictures are shown as slices, in the order of their names.")
    # The windows of the first picture may cut off what the others hold.
    windows = picture_windows(values, None, notes) if values.ndim == 3 else ()
    return replace(
        first, name=name, values=values, windows=windows, sha256=sha256, notes=tuple(notes), derived=None, exact=False
    )


def _natural(file: str) -> list[tuple[int, int, str]]:
    """Order 'slice10' after 'slice9'."""
    pieces = re.findall(r"\d+|\D+", file)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def _with_left_out(scan: Scan, count: int) -> Scan:
    if not count:
        return scan
    files = "1 other file was" if count == 1 else f"{count} other files were"
    return replace(scan, notes=(*scan.notes, f"{files} left out."))


def _with_name_note(scan: Scan, name: str, kind: str | None) -> Scan:
    claimed = _EXTENSIONS.get(PurePath(name).suffix.lower())
    if claimed is None or claimed == kind:
        return scan
    note = f"The file is named like {claimed} but holds {kind}."
    return replace(scan, notes=(*scan.notes, note))
