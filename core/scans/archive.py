"""ZIP archives and folders → named contents, within bounds."""

from __future__ import annotations

import os
import stat
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

from core.scans import limits
from core.scans.scan import ScanError
from core.scans.sniffing import GZIP, ZIP, sniff
from core.scans.text import one_line

_IGNORED = ("thumbs.db", "desktop.ini", "dicomdir")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(data: bytes, name: str) -> list[tuple[str, bytes]]:
    """Return name and content of each file of a ZIP archive.

    Parameters
    ----------
    data : bytes
        The archive.
    name : str
        File name for the messages.

    Raises
    ------
    ScanError
        Where the archive is damaged, encrypted, too large or nested, or holds names that lead outside of it.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            _refuse_other(entries, name)
            _check_entries(entries, name)
            kept = [entry for entry in entries if not entry.is_dir() and not _ignored(entry.filename)]
            files = [(entry.filename, _content(archive, entry, name)) for entry in kept]
    except (ScanError, MemoryError):
        raise
    except Exception as error:
        raise ScanError(f"'{name}' is a damaged or cut-off ZIP archive: pack or download it again.") from error
    if not files:
        raise ScanError(f"'{name}' is an empty ZIP archive: pack the scan into it.")
    return files


def _refuse_other(entries: list[zipfile.ZipInfo], name: str) -> None:
    """Refuse the many formats that are ZIP archives by construction."""
    names = {entry.filename for entry in entries}
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise ScanError(f"'{name}' is an office document or e-book: export the picture in it as PNG.")
    if names and all(file.endswith(".npy") for file in names):
        raise ScanError(f"'{name}' is a NumPy archive: save the picture in it as NIfTI or PNG.")


def _check_entries(entries: list[zipfile.ZipInfo], name: str) -> None:
    if len(entries) > limits.MAX_FILES:
        raise ScanError(f"'{name}' holds {len(entries)} files, more than {limits.MAX_FILES}: pack one series only.")
    for entry in entries:
        _check_entry(entry, name)
    if sum(entry.file_size for entry in entries) > limits.MAX_ARCHIVE_BYTES:
        most = limits.MAX_ARCHIVE_BYTES // limits.MEBIBYTE
        raise ScanError(f"'{name}' unpacks to more than {most} MB: pack one series only.")


def _check_entry(entry: zipfile.ZipInfo, name: str) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename.split("/")[0]:
        raise ScanError(f"'{name}' holds a file name that leads outside the archive: pack it again.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ScanError(f"'{name}' holds a link instead of a file: pack the files themselves.")
    if entry.flag_bits & 0x1:
        raise ScanError(f"'{name}' is protected by a password: pack it again without one.")
    if entry.compress_type not in _METHODS:
        raise ScanError(f"'{name}' uses an unusual compression: pack it again as an ordinary ZIP.")
    ratio = entry.file_size / max(entry.compress_size, 1)
    if entry.file_size > limits.RATIO_FREE_BYTES and ratio > limits.MAX_RATIO:
        raise ScanError(f"'{name}' holds a file that unpacks to {ratio:.0f} times its size: pack it again.")


def _ignored(file_name: str) -> bool:
    """Tell whether a file is one that systems add by themselves: hidden, previews, or an index of the others."""
    path = PurePosixPath(file_name)
    return any(part.startswith(".") for part in path.parts) or path.name.lower() in _IGNORED or "__MACOSX" in path.parts


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    kind = sniff(content)
    if kind == ZIP:
        raise ScanError(f"'{name}' holds another archive ('{one_line(entry.filename)}'): upload that one by itself.")
    if kind == GZIP and not entry.filename.lower().endswith(".nii.gz"):
        raise ScanError(f"'{name}' holds another archive ('{one_line(entry.filename)}'): upload that one by itself.")
    return content


def read_folder(folder: Path, name: str) -> list[tuple[str, bytes]]:
    """Return name and content of each file below a folder, in the order of their names; links are not followed.

    Raises
    ------
    ScanError
        Where the folder holds nothing, or too much.
    """
    paths = [
        Path(parent) / file
        for parent, _, files in os.walk(folder)
        for file in files
        if not _ignored((Path(parent) / file).relative_to(folder).as_posix()) and not (Path(parent) / file).is_symlink()
    ]
    paths = sorted(path for path in paths if path.is_file())
    if not paths:
        raise ScanError(f"'{name}' is an empty folder: choose the one with the scan.")
    if len(paths) > limits.MAX_FILES:
        raise ScanError(f"'{name}' holds {len(paths)} files, more than {limits.MAX_FILES}: choose one series only.")
    if sum(path.stat().st_size for path in paths) > limits.MAX_ARCHIVE_BYTES:
        most = limits.MAX_ARCHIVE_BYTES // limits.MEBIBYTE
        raise ScanError(f"'{name}' holds more than {most} MB: choose one series only.")
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]
