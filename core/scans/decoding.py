"""The content of a file, or a path → Scan, in this process: `loading` has it done in one that may be killed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TypeVar

from core.scans import limits
from core.scans.archive import gunzip, mapped, read_folder, unpack
from core.scans.dicom.loading import list_dicom, load_dicom
from core.scans.memory.content import Buffer, Content
from core.scans.memory.volume import Volume
from core.scans.nifti.loading import load_nifti
from core.scans.nifti.series import list_niftis, load_niftis
from core.scans.outlines.decoding import decode_outlines
from core.scans.outlines.outline import Outline, Target
from core.scans.raster.loading import RANGE_NOTE, load_raster, picture_windows
from core.scans.scan import Scan, ScanError, Series, TooLarge, checked_series, checked_volume, series_facts
from core.scans.sniffing import DICOM, GZIP, NIFTI, RASTERS, ZIP, refusal
from core.scans.sorting import FileFacts, file_facts
from core.scans.text import natural, one_line
from core.scans.viewing import thumbnail

_EXTENSIONS = {
    ".dcm": DICOM, ".dicom": DICOM, ".ima": DICOM, ".nii": NIFTI, ".gz": GZIP, ".zip": ZIP, ".png": "PNG",
    ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".webp": "WebP", ".gif": "GIF",
    ".pdf": "PDF", ".txt": "text", ".doc": "Word", ".docx": "Word",
}  # fmt: skip

Answer = TypeVar("Answer")


def decode_source(source: Buffer | Path, name: str, series: int | None = None, volume: int = 0) -> Scan:
    """Open a scan, whatever its format.

    Parameters
    ----------
    source : bytes, memoryview or Path
        The content of a file, or the path of a file or of the folder of a DICOM series.
    name : str
        Name of the scan, and for the messages.
    series : int, optional
        Which of the series that `list_source` returns, from 0; the first by default.
    volume : int
        Which of its volumes, from 0.

    Raises
    ------
    ScanError
        One sentence that says what is wrong and what to do. Nothing else is ever raised.
    """
    return _in_a_sentence(lambda: _scan(_upload(source, name), series, volume), name)


def list_source(source: Buffer | Path, name: str, thumbnails: bool = False) -> tuple[Series, ...]:
    """Return the series that a source holds, the one that is opened by default at the front.

    `thumbnails`: with a picture of each. Other parameters and errors are those of `decode_source`.
    """
    return _in_a_sentence(lambda: _series(_upload(source, name), thumbnails), name)


def outline_source(source: Buffer | Path, name: str, target: Target) -> tuple[Outline, ...]:
    """Return what a file outlines on a scan: `core.scans.outlines.decoding.decode_outlines` of its content."""
    return _in_a_sentence(
        lambda: decode_outlines(
            Content.of(_read_path(source, name) if isinstance(source, Path) else source), name, target
        ),
        name,
    )


def sort_source(source: Buffer, name: str) -> tuple[FileFacts, ...]:
    """Return what each file of an archive is to the others, in their order; ScanError where it can't be unpacked."""
    return _in_a_sentence(lambda: tuple(file_facts(content) for _, content in unpack(source, name).files), name)


def _in_a_sentence(work: Callable[[], Answer], name: str) -> Answer:
    try:
        return work()
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


@dataclass(frozen=True)
class _Upload:
    """What was brought: `files` with their content, some of which may be scans, and how many were left out already."""

    name: str
    sha256: str
    files: list[tuple[str, Content]]
    left_out: int = 0
    notes: tuple[str, ...] = ()

    @property
    def dicom(self) -> list[tuple[str, Content]]:
        return self._of((DICOM,))

    @property
    def volumes(self) -> list[tuple[str, Content]]:
        return self._of((NIFTI, GZIP))

    @property
    def taken(self) -> list[tuple[str, Content]]:
        """Those of one format: DICOM where there is any, else NIfTI, else pictures."""
        return self.dicom or self.volumes or self.files

    def _of(self, kinds: tuple[str, ...]) -> list[tuple[str, Content]]:
        return [(file, content) for file, content in self.files if content.kind in kinds]


def _upload(source: Buffer | Path, name: str) -> _Upload:
    if isinstance(source, Path) and source.is_dir():
        contents = read_folder(source, name)
        return _sorted_out(_Upload(name, _digest(contents.files), contents.files), contents.errors)
    data = _read_path(source, name) if isinstance(source, Path) else source
    if not len(data):
        raise ScanError(f"'{name}' is empty: export or download it again.")
    content, sha256 = Content.of(data), hashlib.sha256(data).hexdigest()
    notes = _name_notes(name, content.kind)
    if content.kind == ZIP:
        contents = unpack(data, name)
        return _sorted_out(_Upload(name, sha256, contents.files, 0, notes), contents.errors)
    if content.kind == GZIP:
        content, _ = gunzip(content, name, limits.MAX_INFLATED_BYTES)
    return _Upload(name, sha256, [(name, content)], 0, notes)


def _sorted_out(upload: _Upload, errors: list[ScanError]) -> _Upload:
    """Leave out what is no scan, and unpack what is gzipped; ScanError where nothing is left."""
    kept: list[tuple[str, Content]] = []
    others, left = [], limits.MAX_ARCHIVE_BYTES
    for file, content in upload.files:
        kind = content.kind
        try:
            if kind == GZIP:
                content, kind = gunzip(content, file, left)
        except ScanError as error:
            errors = [*errors, error]
            continue
        if kind is None or kind == GZIP:
            others.append(_no_scan(content, PurePath(file).name))
        else:
            left -= content.size
            kept.append((file, content))
        content.let_go()
    if not kept and (errors or len(others) == 1):
        raise (errors + others)[0]
    if not kept:
        raise ScanError(f"'{upload.name}' holds no scan: choose a folder or ZIP with DICOM, NIfTI or pictures.")
    return replace(upload, files=kept, left_out=len(errors) + len(others))


def _no_scan(content: Content, name: str) -> ScanError:
    what, advice = refusal(content.head)
    return ScanError(f"'{one_line(name)}' is {what}: {advice}.")


def _scan(upload: _Upload, series: int | None, volume: int) -> Scan:
    if upload.dicom:
        scan = load_dicom(upload.dicom, upload.name, upload.sha256, series, volume)
    elif len(upload.volumes) > 1:
        scan = load_niftis(upload.volumes, upload.name, upload.sha256, series, volume)
    else:
        checked_series(series, 1, upload.name)
        scan = _other(upload, volume)
    left_out = _left_out_notes(upload)
    return replace(scan, notes=(*scan.notes, *left_out, *upload.notes), left_out=(*scan.left_out, *left_out))


def _series(upload: _Upload, thumbnails: bool) -> tuple[Series, ...]:
    if upload.dicom:
        found = list_dicom(upload.dicom, upload.name, thumbnails)
    elif len(upload.volumes) > 1:
        found = list_niftis(upload.volumes, upload.name, thumbnails)
    else:
        scan = _scan(upload, None, 0)
        return (replace(series_facts(scan), thumbnail=thumbnail(scan) if thumbnails else None),)
    left_out = _left_out_notes(upload)
    return tuple(replace(series, notes=(*series.notes, *left_out)) for series in found)


def _read_path(path: Path, name: str) -> memoryview:
    if not path.exists():
        raise ScanError(f"There is no file '{name}' at this place: check the path.")
    if not path.is_file():
        raise ScanError(f"'{name}' is neither a file nor a folder: choose one of these.")
    limits.check_upload(path.stat().st_size, name)
    try:
        return mapped(path)
    except OSError as error:
        raise ScanError(f"'{name}' cannot be read from the disk: check its permissions.") from error


def _digest(files: list[tuple[str, Content]]) -> str:
    digest = hashlib.sha256()
    for _, content in files:
        digest.update(hashlib.sha256(content.view).digest())
        content.let_go()
    return digest.hexdigest()


def _other(upload: _Upload, volume: int) -> Scan:
    """The scan in an upload of neither DICOM nor several volumes: one volume, one picture, or pictures of one size."""
    if len(upload.taken) == 1:
        return _one(upload.taken[0][1], upload, volume)
    checked_volume(volume, 1, upload.name)
    pictures = [(file, content) for file, content in upload.files if content.kind in RASTERS]
    return _stacked(pictures, upload.name, upload.sha256)


def _one(content: Content, upload: _Upload, volume: int) -> Scan:
    if content.kind in (NIFTI, GZIP):
        return load_nifti(content, upload.name, upload.sha256, volume)
    if content.kind in RASTERS:
        checked_volume(volume, 1, upload.name)
        return load_raster(content, upload.name, upload.sha256)
    raise _no_scan(content, upload.name)


def _stacked(pictures: list[tuple[str, Content]], name: str, sha256: str) -> Scan:
    """Stack pictures of one size as slices, in the order of their names."""
    slices, errors, count = Volume(len(pictures), name), list[ScanError](), 0
    first: Scan | None = None
    for file, content in sorted(pictures, key=lambda picture: natural(picture[0])):
        try:
            scan = load_raster(content, one_line(PurePath(file).name), "")
        except TooLarge:
            raise
        except ScanError as error:
            if _for_want_of_memory(error):
                raise
            errors.append(error)
            continue
        finally:
            content.let_go()
        first = first or scan
        if (scan.values.shape[1:], scan.values.dtype) != (first.values.shape[1:], first.values.dtype):
            raise ScanError(f"'{name}' holds pictures of different sizes or kinds: upload them one by one.")
        for page in scan.values:
            slices.put(count, page)
            count += 1
    if first is None:
        raise errors[0]
    values = slices.take(range(count))
    left_out = (f"{len(errors)} of the {len(pictures)} pictures can't be read and were left out.",) if errors else ()
    notes = [*left_out, *(note for note in first.notes if note != RANGE_NOTE)]
    notes.append(f"{len(pictures) - len(errors)} pictures are shown as slices, in the order of their names.")
    # The windows of the first picture may cut off what the others hold.
    windows = picture_windows(values, None, notes) if values.ndim == 3 else ()
    return replace(
        first,
        name=name,
        values=values,
        windows=windows,
        sha256=sha256,
        notes=tuple(notes),
        left_out=left_out,
        derived=None,
        exact=False,
    )


def _left_out_notes(upload: _Upload) -> tuple[str, ...]:
    """Say how many files are no part of the scan: those of another format than the one that is taken."""
    count = upload.left_out + len(upload.files) - len(upload.taken)
    if not count:
        return ()
    return ("1 other file was left out." if count == 1 else f"{count} other files were left out.",)


def _name_notes(name: str, kind: str | None) -> tuple[str, ...]:
    claimed = _EXTENSIONS.get(PurePath(name).suffix.lower())
    return () if claimed is None or claimed == kind else (f"The file is named like {claimed} but holds {kind}.",)
