"""The one door: a path, bytes or a file object → Scan, or one sentence that says why not."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import BinaryIO

from core.scans import limits
from core.scans.reader import Opening, Reader
from core.scans.scan import Scan, ScanError
from core.scans.text import one_line

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

READER = Reader()
"""Opens all files of this process, each in a process of its own."""


def load_scan(source: Source, name: str | None = None) -> Scan:
    """Open a scan, whatever its format.

    A process of its own decodes it, with at most `limits.MAX_MEMORY_BYTES` and for at most `limits.MAX_SECONDS`.

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
    return begin_loading(source, name).finish()


def begin_loading(source: Source, name: str | None = None) -> Opening:
    """Return what `load_scan` would wait for: to be waited for elsewhere, or cancelled."""
    shown = "upload"
    try:
        shown = _shown_name(source, name)
        return READER.begin(_read(source, shown), shown)
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"'{shown}' cannot be read: choose the file again.") from error


def _shown_name(source: Source, name: str | None) -> str:
    if name is None and isinstance(source, (str, os.PathLike)):
        name = PurePath(os.path.abspath(source)).name
    if name is None:
        given = getattr(source, "name", None)
        name = PurePath(given).name if isinstance(given, str) else None
    return one_line(name or "upload") or "upload"


def _read(source: Source, name: str) -> bytes | memoryview | Path:
    """Return bytes as they are, a path as a path, and what a file object holds."""
    if source == "":
        raise ScanError("No file was named: give the path of a scan.")
    if isinstance(source, (str, os.PathLike)):
        return Path(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        limits.check_upload(memoryview(source).nbytes, name)
        return memoryview(source).cast("B")
    if not hasattr(source, "read"):
        raise ScanError(f"A scan is opened from a path, bytes or a file, not from {type(source).__name__}.")
    data = source.read(limits.MAX_UPLOAD_BYTES + 1)
    if not isinstance(data, bytes):
        raise ScanError(f"'{name}' was opened as text: open it in binary mode.")
    limits.check_upload(len(data), name)
    return data
