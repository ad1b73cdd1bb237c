"""The content of a file, or a path → Scan, in this process: `loading` has it done in one that may be killed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from core.scans import limits
from core.scans.archive import read_folder, unpack
from core.scans.dicom.loading import load_dicom
from core.scans.nifti import load_nifti
from core.scans.raster import RANGE_NOTE, load_raster, picture_windows
from core.scans.scan import Scan, ScanError
from core.scans.sniffing import DICOM, GZIP, NIFTI, RASTERS, ZIP, refusal, sniff
from core.scans.text import one_line

_EXTENSIONS = {
    ".dcm": DICOM, ".dicom": DICOM, ".ima": DICOM, ".nii": NIFTI, ".gz": GZIP, ".zip": ZIP, ".png": "PNG",
    ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".webp": "WebP", ".gif": "GIF",
    ".pdf": "PDF", ".txt": "text", ".doc": "Word", ".docx": "Word",
}  # fmt: skip


def decode_source(source: bytes | Path, name: str) -> Scan:
    """Open a scan, whatever its format.

    Parameters
    ----------
    source : bytes or Path
        The content of a file, or the path of a file or of the folder of a DICOM series.
    name : str
        Name of the scan, and for the messages.

    Raises
    ------
    ScanError
        One sentence that says what is wrong and what to do. Nothing else is ever raised.
    """
    try:
        return _decode(source, name)
    except Exception as error:
        if _for_want_of_memory(error):
            raise ScanError(limits.TOO_MUCH_MEMORY.format(name)) from error
        if isinstance(error, ScanError):
            raise
        raise ScanError(f"'{name}' could not be opened, as it is damaged or unusual: export it again.") from error


def _for_want_of_memory(error: BaseException | None) -> bool:
    # Whoever reads a format takes most errors for damage.
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__ or error.__context__
    return error is not None


def _decode(source: bytes | Path, name: str) -> Scan:
    if isinstance(source, Path) and source.is_dir():
        files = read_folder(source, name)
        return _load_many(files, name, _digest(files))
    data = _read_path(source, name) if isinstance(source, Path) else source
    if not data:
        raise ScanError(f"'{name}' is empty: export or download it again.")
    sha256 = hashlib.sha256(data).hexdigest()
    kind = sniff(data)
    if kind == ZIP:
        return _with_name_note(_load_many(unpack(data, name), name, sha256), name, kind)
    return _with_name_note(_load_one(data, kind, name, sha256), name, kind)


def _read_path(path: Path, name: str) -> bytes:
    if not path.exists():
        raise ScanError(f"There is no file '{name}' at this place: check the path.")
    if not path.is_file():
        raise ScanError(f"'{name}' is neither a file nor a folder: choose one of these.")
    limits.check_upload(path.stat().st_size, name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScanError(f"'{name}' cannot be read from the disk: check its permissions.") from error


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
