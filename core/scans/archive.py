"""ZIP archives and folders → named contents, within bounds."""

from __future__ import annotations

import mmap
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from core.scans import limits
from core.scans.memory.content import Buffer, Content
from core.scans.memory.shared import SharedMemory
from core.scans.scan import ScanError
from core.scans.sniffing import DICOM, GZIP, HEAD_BYTES, NIFTI, RASTERS, ZIP, sniff
from core.scans.text import one_line

_IGNORED = ("thumbs.db", "desktop.ini", "dicomdir")
_KEPT_BYTES = 64 * limits.MEBIBYTE
"""What stays unpacked: as much as the rest of the work takes, so that a small archive is unpacked once."""

_GZIP_HEAD_BYTES = 2**16
_LOCAL_HEADER = struct.Struct("<26xHH")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass
class Contents:
    """What an archive or a folder holds.

    Attributes
    ----------
    files : list of (str, Content)
        Name and content of each file, in the order they were found in.
    errors : list of ScanError
        Why others were left out: archives within the archive, and what can't be unpacked safely.
    """

    files: list[tuple[str, Content]] = field(default_factory=list)
    errors: list[ScanError] = field(default_factory=list)

    def take(self, file: str, content: Content, name: str) -> None:
        """Take a file in, unless it is an archive."""
        if content.kind == ZIP:
            reason = f"'{name}' holds another archive ('{one_line(file)}'): upload that one by itself."
            self.errors.append(ScanError(reason))
        else:
            self.files.append((file, content))

    def checked(self) -> Contents:
        """Return it where it holds files; else raise the first error."""
        if self.errors and not self.files:
            raise self.errors[0]
        return self


def unpack(data: Buffer, name: str) -> Contents:
    """Return the files of a ZIP archive, without those that can't be unpacked safely.

    Of each no more than its beginning is unpacked here: one that is damaged raises ScanError where it is read.

    Parameters
    ----------
    data : bytes or memoryview
        The archive.
    name : str
        File name for the messages.

    Raises
    ------
    ScanError
        Where the archive is damaged or too large, or nothing is left.
    """
    contents, left = Contents(), _KEPT_BYTES
    try:
        archive = zipfile.ZipFile(Content.of(data).stream)
        entries = archive.infolist()
        _refuse_other(entries, name)
        _check_size(entries, name)
        for entry in entries:
            if not entry.is_dir() and _may_be_taken(entry, name, contents):
                left -= entry.file_size
                try:
                    contents.take(entry.filename, _member(archive, data, entry, name, keep=left >= 0), name)
                except (zipfile.BadZipFile, zlib.error, EOFError):
                    contents.errors.append(_damaged_archive(name))
    except (ScanError, MemoryError):
        raise
    except Exception as error:
        raise _damaged_archive(name) from error
    if not contents.files and not contents.errors:
        raise ScanError(f"'{name}' is an empty ZIP archive: pack the scan into it.")
    return contents.checked()


def _may_be_taken(entry: zipfile.ZipInfo, name: str, contents: Contents) -> bool:
    try:
        _check_entry(entry, name)
    except ScanError as error:
        contents.errors.append(error)
        return False
    return not _ignored(entry.filename)


def _member(archive: zipfile.ZipFile, data: Buffer, entry: zipfile.ZipInfo, name: str, keep: bool) -> Content:
    """The content of an entry: where it isn't compressed, a view of the archive."""
    plain = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
    unpacked = partial(_stored, data, entry, name) if plain else partial(_unpacked, archive, entry, name)
    return Content(unpacked, entry.file_size, partial(archive.open, entry), keep or plain)


def _stored(data: Buffer, entry: zipfile.ZipInfo, name: str) -> memoryview:
    start = entry.header_offset
    start += _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack_from(data, start))
    stored = memoryview(data)[start : start + entry.file_size]
    if len(stored) < entry.file_size or zlib.crc32(stored) != entry.CRC:
        raise _damaged_archive(name)
    return stored


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    try:
        with archive.open(entry) as stream:
            # No more than it announces, whatever it unpacks to.
            return stream.read(entry.file_size)
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged_archive(name) from error


def _damaged_archive(name: str) -> ScanError:
    return ScanError(f"'{name}' is a damaged or cut-off ZIP archive: pack or download it again.")


def pack(files: Sequence[tuple[str, Buffer]], name: str) -> SharedMemory:
    """Return a ZIP archive, not compressed, of files that belong together.

    Parameters
    ----------
    files : sequence of (str, bytes or memoryview)
        Name and content of each; at least one.
    name : str
        What to call them in messages.

    Raises
    ------
    ScanError
        Where they are too many, or together larger than one file may be.
    """
    if len(files) > limits.MAX_FILES:
        raise ScanError(f"{len(files)} files are more than {limits.MAX_FILES}: choose one study only.")
    limits.check_upload(sum(len(content) for _, content in files), name)
    return SharedMemory.written(partial(_pack, files))


def _pack(files: Sequence[tuple[str, Buffer]], stream: BinaryIO) -> None:
    taken = set()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, (file, content) in enumerate(files):
            # A browser tells no folders, so that those of several may have one name.
            plain = one_line(PurePosixPath(file.replace("\\", "/")).name, 200).replace(":", "_") or "file"
            archive.writestr(f"{number}/{plain}" if plain in taken else plain, content)
            taken.add(plain)


def gunzip(content: Content, name: str, most: int) -> tuple[Content, str | None]:
    """Unpack a gzipped DICOM file or picture.

    Parameters
    ----------
    content : Content
        The gzipped file.
    name : str
        Its name, for the messages.
    most : int
        Bytes that it may unpack to.

    Returns
    -------
    tuple of Content and str or None
        Content and kind. A volume stays packed, as NIfTI is read no further than needed; so does what is no scan, of
        which the kind is `sniffing.GZIP`.

    Raises
    ------
    ScanError
        Where it is damaged, or unpacks to more than it may.
    """
    try:
        head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(bytes(content.part(0, _GZIP_HEAD_BYTES)), HEAD_BYTES)
    except zlib.error as error:
        raise _damaged(name) from error
    kind = sniff(head)
    if kind != DICOM and kind not in RASTERS:
        return content, kind if kind == NIFTI else GZIP
    unpacked = Content(partial(_gunzipped, content, name, most))
    assert unpacked.head, "it begins with what it is"
    return unpacked, kind


def _gunzipped(content: Content, name: str, most: int) -> bytes:
    packed = content.view
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        least = max(limits.RATIO_FREE_BYTES, limits.MAX_RATIO * len(packed))
        plain = inflater.decompress(packed, max(1, min(most, least)))
    except zlib.error as error:
        raise _damaged(name) from error
    finally:
        content.let_go()
    if inflater.unconsumed_tail:
        raise ScanError(f"'{one_line(name)}' unpacks to far more than its size: unpack it and upload what is inside.")
    return plain


def _damaged(name: str) -> ScanError:
    return ScanError(f"'{one_line(name)}' is damaged or cut short: download it again.")


def _refuse_other(entries: list[zipfile.ZipInfo], name: str) -> None:
    """Refuse the many formats that are ZIP archives by construction."""
    names = {entry.filename for entry in entries}
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise ScanError(f"'{name}' is an office document or e-book: export the picture in it as PNG.")
    if names and all(file.endswith(".npy") for file in names):
        raise ScanError(f"'{name}' is a NumPy archive: save the picture in it as NIfTI or PNG.")


def _check_size(entries: list[zipfile.ZipInfo], name: str) -> None:
    if len(entries) > limits.MAX_FILES:
        raise ScanError(f"'{name}' holds {len(entries)} files, more than {limits.MAX_FILES}: pack one series only.")
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


def read_folder(folder: Path, name: str) -> Contents:
    """Return the files below a folder, in the order of their names; links are not followed.

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
    contents = Contents()
    for path in paths:
        contents.take(path.relative_to(folder).as_posix(), Content(partial(mapped, path)), name)
    return contents.checked()


def mapped(path: Path) -> memoryview:
    """The content of a file on the disk, which comes into memory where it is read."""
    with path.open("rb") as file:
        empty = os.fstat(file.fileno()).st_size == 0
        return memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
