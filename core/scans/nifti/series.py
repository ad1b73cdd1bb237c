"""Several NIfTI files that were brought together: each is a series."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from core.scans.memory.content import Content
from core.scans.nifti.header import read_header
from core.scans.nifti.loading import load_nifti, plain_stream
from core.scans.nifti.view import plane_of_slices, spacing_of, view_of
from core.scans.scan import Scan, ScanError, Series, TooLarge, checked_series, choice_note
from core.scans.text import natural, one_line
from core.scans.viewing import THUMBNAIL_SECONDS, thumbnail

Files = list[tuple[str, Content]]

_LABELS = 1002  # NIFTI_INTENT_LABEL of nifti1.h: the values name parts, as those of a segmentation do


@dataclass(frozen=True, eq=False)
class _File:
    """A file of which the header can be read; `area` and `labels` help to say which is shown first."""

    name: str
    content: Content
    facts: Series
    area: int
    labels: bool

    @property
    def rank(self) -> tuple[object, ...]:
        """Sorts images before segmentations, large before small, then by name."""
        return self.labels, -self.facts.slices, -self.area, natural(self.name)


def list_niftis(files: Files, name: str, thumbnails: bool = False) -> tuple[Series, ...]:
    """Return a series a file, the one to show first at the front; parameters and errors as `load_niftis`.

    Nothing but headers is read, but for `thumbnails`, and of these no more than a few seconds' worth.
    """
    found, notes = _found(files, name)
    until = time.monotonic() + THUMBNAIL_SECONDS
    listed = []
    for file in found:
        picture = _thumbnail(file) if thumbnails and time.monotonic() < until else None
        listed.append(replace(file.facts, notes=tuple(notes), thumbnail=picture))
    return tuple(listed)


def load_niftis(files: Files, name: str, sha256: str, series: int | None = None, volume: int = 0) -> Scan:
    """Build a scan from one of several NIfTI files.

    Parameters
    ----------
    files : list of (str, Content)
        Name and content of each file; at least one.
    name : str
        Name of the scan.
    sha256 : str
        Digest of the source.
    series : int, optional
        Which of the series that `list_niftis` returns; by default the first that can be read.
    volume : int
        Which of its volumes, from 0.

    Raises
    ------
    ScanError
        Where none can be read, or there is no such series or volume.
    """
    found, left_out = _found(files, name)
    checked_series(series, len(found), name)
    chosen = range(len(found)) if series is None else [int(series)]
    scan, index = _first_readable(found, chosen, sha256, volume)
    choice = [_choice_note(found, index)] if series is None and len(found) > 1 else []
    return replace(
        scan,
        name=name,
        notes=(*choice, *left_out, *scan.notes),
        left_out=(*left_out, *scan.left_out),
        series_index=index,
        series_count=len(found),
    )


def _choice_note(found: list[_File], index: int) -> str:
    shown = found[index]
    labels = any(file.labels > shown.labels and file.facts.slices > shown.facts.slices for file in found)
    which = "the largest that can be read" if index else "the largest"
    if labels:
        which += " and is no segmentation" if index else " that is no segmentation"
    return choice_note(len(found), shown.facts.slices, which)


def _first_readable(found: list[_File], chosen: range | list[int], sha256: str, volume: int) -> tuple[Scan, int]:
    first_error: Exception | None = None
    for index in chosen:
        try:
            return load_nifti(found[index].content, _shown(found[index].name), sha256, volume), index
        except (MemoryError, TooLarge):
            raise
        except Exception as error:
            first_error = first_error or error
        found[index].content.let_go()
    raise first_error or ScanError("There is no series: choose another file.")


def _found(files: Files, name: str) -> tuple[list[_File], list[str]]:
    found: list[_File] = []
    first_error: Exception | None = None
    for file, content in files:
        try:
            found.append(_read(file, content))
        except MemoryError:
            raise
        except Exception as error:
            first_error = first_error or error
        content.let_go()
    if not found:
        raise first_error or ScanError(f"'{name}' holds no NIfTI volume: choose a folder or ZIP that does.")
    unread = len(files) - len(found)
    notes = [f"{unread} of the {len(files)} NIfTI files hold no readable volume and were left out."] if unread else []
    return sorted(found, key=lambda file: file.rank), notes


def _read(file: str, content: Content) -> _File:
    name = _shown(file)
    try:
        header, unknown = read_header(plain_stream(content), name)
    except (OSError, EOFError, zlib.error) as error:
        raise ScanError(f"'{name}' is damaged or cut short: download it again.") from error
    shape = tuple(int(size) for size in (*header.get_data_shape(), 1)[:3])
    view = view_of(header, shape, [])
    slices, rows, columns = (shape[axis] for axis in view.stored_axes())
    facts = Series(
        modality=None,
        plane=plane_of_slices(header, view),
        sequence=None,
        slices=slices,
        volumes=int(np.prod(header.get_data_shape()[3:], dtype=object)),
        spacing=spacing_of(header, unknown, view, slices, []),
    )
    return _File(file, content, facts, rows * columns, int(header["intent_code"]) == _LABELS)


def _thumbnail(file: _File) -> np.ndarray | None:
    try:
        return thumbnail(load_nifti(file.content, "", ""))
    except MemoryError:
        raise
    except Exception:
        return None
    finally:
        file.content.let_go()


def _shown(file: str) -> str:
    return one_line(PurePath(file).name)
