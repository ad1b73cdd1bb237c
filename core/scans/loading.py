"""The one door: a path, bytes or a file object → Scan, or one sentence that says why not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from core.scans import limits
from core.scans.archive import pack
from core.scans.memory.content import Buffer
from core.scans.memory.shared import SharedMemory
from core.scans.outlines.outline import Target
from core.scans.reader import Opening, Reader
from core.scans.scan import Scan, ScanError, Series
from core.scans.sniffing import DICOM, GZIP, HEAD_BYTES, NIFTI, sniff
from core.scans.sorting import FileFacts
from core.scans.text import one_line

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | SharedMemory | BinaryIO

_SORTED_AT_ONCE = 64 * limits.MEBIBYTE

READER = Reader()
"""Opens all files of this process, each in a process of its own."""


@dataclass(frozen=True, eq=False)
class Study:
    """What somebody brought: the series in it can be opened one after the other.

    Attributes
    ----------
    source : str, bytes or SharedMemory
        A path, or the content of a file.
    name : str
        To show.
    """

    source: str | bytes | SharedMemory
    name: str

    @classmethod
    def of_files(cls, files: Sequence[tuple[str, bytes]]) -> Study:
        """Return the study that several files (name, content) make together; ScanError where they are too much."""
        if len(files) == 1:
            ((name, content),) = files
            limits.check_upload(len(content), name)
            return cls(SharedMemory.of(content), one_line(name) or "upload")
        name = f"{one_line(files[0][0], 40)} and {len(files) - 1} more"
        return cls(pack(files, name), name)

    def begin(self, series: int | None = None, volume: int = 0) -> Opening:
        """Return the opening of one of its scans; `begin_loading` says how they are chosen, and what it raises."""
        return begin_loading(self.source, self.name, series, volume)

    def begin_list(self) -> Opening:
        """Return the listing of its series, with a picture of each: to be waited for by `Opening.listed`."""
        return READER.begin_list(*_named(self.source, self.name), thumbnails=True)


def load_scan(source: Source, name: str | None = None, series: int | None = None, volume: int = 0) -> Scan:
    """Open a scan, whatever its format.

    A process of its own decodes it, with at most `limits.MAX_MEMORY_BYTES` and for at most `limits.MAX_SECONDS`.

    Parameters
    ----------
    source : str, os.PathLike, bytes or binary file object
        A file, the folder of a DICOM series, or the content of a file.
    name : str, optional
        File name to show; by default that of the path or of the file object.
    series : int, optional
        Which of the series that `list_series` returns, from 0. By default the first, which is the largest; localizers,
        screenshots, documents and segmentations come after all images, however large they are.
    volume : int
        Which of the series' volumes (echoes, diffusion weightings, points in time), from 0; `Scan.volume_count` says
        how many there are.

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
    return begin_loading(source, name, series, volume).finish()


def list_series(source: Source, name: str | None = None) -> tuple[Series, ...]:
    """Return the series that a source holds, the one that `load_scan` opens by default at the front.

    What can be told from tags alone is told so, and no DICOM pixel is decoded. Parameters, bounds and errors are those
    of `load_scan`.
    """
    return READER.begin_list(*_named(source, name)).listed()


def begin_loading(source: Source, name: str | None = None, series: int | None = None, volume: int = 0) -> Opening:
    """Return what `load_scan` would wait for: to be waited for elsewhere, or cancelled."""
    return READER.begin(*_named(source, name), series, volume)


def begin_outlines(source: Source, scan: Scan, name: str | None = None) -> Opening:
    """Begin to read what a DICOM SEG, an RTSTRUCT or a NIfTI mask outlines on a scan; `Opening.outlined` waits for it.

    Bounds and errors are those of `load_scan`; a file that was made on another scan is refused.
    """
    content, shown = _named(source, name)
    return READER.outline(content, shown, Target.of(scan))


def sort_files(contents: Iterable[Buffer]) -> list[FileFacts]:
    """Tell what files are to one another, as `core.scans.sorting.file_facts`; what is neither DICOM nor NIfTI is alone.

    ScanError where that takes longer, or more memory, than opening a scan may.
    """
    found, waiting, size = list[FileFacts](), dict[int, Buffer](), 0
    for index, content in enumerate(contents):
        found.append(FileFacts())
        if sniff(bytes(content[:HEAD_BYTES])) not in (DICOM, NIFTI, GZIP):
            continue
        if waiting and size + len(content) > _SORTED_AT_ONCE:
            _sort(waiting, found)
            waiting, size = {}, 0
        waiting[index], size = content, size + len(content)
    _sort(waiting, found)
    return found


def _sort(contents: dict[int, Buffer], found: list[FileFacts]) -> None:
    if contents:
        packed = pack([(str(index), content) for index, content in contents.items()], "files")
        for index, facts in zip(contents, READER.begin_sort(packed, "files").sorted_files(), strict=True):
            found[index] = facts


def _named(source: Source, name: str | None) -> tuple[bytes | memoryview | SharedMemory | Path, str]:
    """What is to be opened, and the name to show."""
    shown = "upload"
    try:
        shown = _shown_name(source, name)
        return _read(source, shown), shown
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


def _read(source: Source, name: str) -> bytes | memoryview | SharedMemory | Path:
    """Return bytes as they are, a path as a path, and what a file object holds."""
    if source == "":
        raise ScanError("No file was named: give the path of a scan.")
    if isinstance(source, (str, os.PathLike)):
        return Path(source)
    if isinstance(source, SharedMemory):
        limits.check_upload(source.length, name)
        return source
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
