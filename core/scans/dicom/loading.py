"""DICOM files → the series among them, and one volume of one of these as a Scan."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.acquisition import sequence_of
from core.scans.dicom.attributes import finite_number, group_item, series_digest
from core.scans.dicom.frames import Frame, axes_of_frames, pixel_shape, placement_of, plane_of_frames, plane_spacing
from core.scans.dicom.pixels import announced_shape, check_size
from core.scans.dicom.reading import let_go, read_dicom, transfer_syntax
from core.scans.dicom.series import DicomSeries, Image, check_named, series_of
from core.scans.dicom.tags import burned_in_notes, coded, displayed_tags
from core.scans.dicom.values import Part, ScanPixels, read_part
from core.scans.dicom.volumes import gaps
from core.scans.dicom.windows import FileWindows, presets, with_contrast
from core.scans.geometry import Geometry
from core.scans.markers import derived_kind
from core.scans.memory.content import Content
from core.scans.memory.volume import collapsed
from core.scans.scan import Scan, ScanError, Series, TooLarge, checked_series, checked_volume, choice_note, volume_note
from core.scans.viewing import THUMBNAIL_SECONDS, thumbnail
from core.scans.windowing import ROBUST_RANGE, Window, identity_window

SPACING_NOTE = "The stated distances between pixels cannot be right, so they are taken as unknown."

Files = list[tuple[str, Content]]


def list_dicom(files: Files, name: str, thumbnails: bool = False) -> tuple[Series, ...]:
    """Return the series among DICOM files, the one to show first at the front.

    No pixel is decoded, but for `thumbnails`, a slice a series, and of these no more than a few seconds' worth. Other
    parameters and errors are those of `load_dicom`.
    """
    found, notes = _found(files, name)
    until = time.monotonic() + THUMBNAIL_SECONDS
    listed = []
    for series in found:
        wanted = thumbnails and time.monotonic() < until
        listed.append(replace(_facts(series, notes), thumbnail=_thumbnail(series) if wanted else None))
    return tuple(listed)


def _thumbnail(series: DicomSeries) -> np.ndarray | None:
    frames = series.volumes[0]
    try:
        return thumbnail(_scan([frames[len(frames) // 2]], [], "", ""))
    except MemoryError:
        raise
    except Exception:
        return None


def load_dicom(files: Files, name: str, sha256: str, series: int | None = None, volume: int = 0) -> Scan:
    """Build a scan from DICOM files.

    Parameters
    ----------
    files : list of (str, Content)
        Name and content of each file.
    name : str
        Name of the scan.
    sha256 : str
        Digest of the source.
    series : int, optional
        Which of the series that `list_dicom` returns; the first by default.
    volume : int
        Which of its volumes, from 0.

    Returns
    -------
    Scan
        Frames ordered by their position along the normal (PS3.3 C.7.6.2.1.1), else by Instance Number, else by name.

    Raises
    ------
    ScanError
        Where no image can be read, or there is no such series or volume.
    """
    found, notes = _found(files, name)
    chosen = found[checked_series(series, len(found), name)]
    frames = chosen.volumes[checked_volume(volume, len(chosen.volumes), name)]
    scan = _scan(frames, [*notes, *chosen.notes], name, sha256)
    choices = [_choice_note(found)] if series is None and len(found) > 1 else []
    if len(chosen.volumes) > 1:
        choices.append(volume_note(volume, len(chosen.volumes)))
    return replace(
        scan,
        notes=(*choices, *scan.notes),
        volume=volume,
        volume_count=len(chosen.volumes),
        series_index=series or 0,
        series_count=len(found),
    )


def _found(files: Files, name: str) -> tuple[list[DicomSeries], list[str]]:
    images, first_error = _readable(files)
    if not images:
        raise first_error or ScanError(f"'{name}' holds no DICOM image: choose a folder or ZIP that does.")
    return series_of(images), _unread_note(len(files) - len(images), len(files))


def _readable(files: Files) -> tuple[list[Image], Exception | None]:
    images: list[Image] = []
    first_error: Exception | None = None
    for file_name, content in sorted(files, key=lambda file: file[0]):
        try:
            ds = read_dicom(content, file_name)
            announced_shape(ds, file_name)
            check_named(ds, file_name)
            images.append((file_name, ds))
        except MemoryError:
            raise
        except Exception as error:
            first_error = first_error or error
        content.let_go()
    return images, first_error


def _unread_note(unread: int, files: int) -> list[str]:
    return [f"{unread} of the {files} DICOM files hold no readable image and were left out."] if unread else []


def _choice_note(found: list[DicomSeries]) -> str:
    count = len(found[0].volumes[0])
    larger = [series for series in found if len(series.volumes[0]) > count]
    passed = ["localizer"] if any(series.localizer > found[0].localizer for series in larger) else []
    if any(series.screen > found[0].screen for series in larger):
        passed += ["screenshot, document or segmentation"]
    return choice_note(len(found), count, f"the largest that is no {', '.join(passed)}" if passed else "the largest")


def _facts(series: DicomSeries, notes: list[str]) -> Series:
    frames = series.volumes[0]
    return Series(
        modality=coded(series.first, "Modality"),
        plane=plane_of_frames(frames),
        sequence=sequence_of(frames[0].ds, frames[0].index),
        slices=len(frames),
        volumes=len(series.volumes),
        spacing=_spacing(frames, []),
        localizer=series.localizer,
        notes=(*notes, *series.notes),
    )


def _scan(frames: list[Frame], left_out: list[str], name: str, sha256: str) -> Scan:
    parts, frames, pixels, unread = _decoded(frames, name)
    left_out = [*left_out, *_unread_note(unread, len(parts) + unread)]
    notes = [*left_out, *_order_notes(frames)]
    notes += dict.fromkeys(note for part in parts for note in part.notes)
    first = parts[0]
    derived = derived_kind(first.ds) if len(parts) == 1 else None
    values, valid = pixels.taken
    frame_windows = _frame_windows(parts, frames)
    if isinstance(values, np.ndarray) and values.ndim == 4 and derived is None:
        values = collapsed(values)
    given = FileWindows(first.given.windows, frame_windows, first.given.lut)
    windows: tuple[Window, ...] = ()
    if values.ndim == 3:
        # Colour fills its type, also where it turned out to be grey.
        colour = identity_window(8 * values.dtype.itemsize) if first.colour else None
        identity = first.identity or colour
        if given.empty and not identity:
            notes.append(f"The file brings no window, so one was derived from its values ({ROBUST_RANGE.lower()}).")
        if derived is None:
            given = with_contrast(given, values, valid, notes)
        windows = presets(given, identity, first.ds, values, valid)
    notes += burned_in_notes(first.ds)
    spacing = _spacing(frames, notes)
    measured = spacing is not None
    spacing = spacing or _shape_alone(first.ds, notes)
    # What Purescan wrote exactly is made of square pixels, whatever older files say, and is not resampled.
    exact = derived is not None and int(first.ds.BitsStored) == 16
    return Scan(
        name=name,
        kind="dicom",
        values=values,
        modality=coded(first.ds, "Modality"),
        windows=windows,
        inverted=values.ndim == 3 and first.inverted,
        spacing=None if exact and not Geometry.of(values.shape[1:3], spacing).square else spacing,
        tags=displayed_tags(first.ds, transfer_syntax(first.ds)),
        notes=tuple(notes),
        derived=derived,
        sha256=sha256,
        exact=exact,
        voi_lut=given.lut if values.ndim == 3 else None,
        frame_windows=tuple(given.frame_windows) if given.frame_windows and values.ndim == 3 else None,
        plane=plane_of_frames(frames),
        axes=axes_of_frames(frames),
        sequence=sequence_of(first.ds, frames[0].index),
        placement=placement_of(frames),
        series=series_digest(first.ds),
        left_out=tuple(left_out),
        measured=measured,
    )


def _decoded(frames: list[Frame], name: str) -> tuple[list[Part], list[Frame], ScanPixels, int]:
    """Decode the files of some frames; return the frames that came out, their pixels, and how many files didn't.

    Raise the first error where nothing can be decoded.
    """
    files: dict[int, list[Frame]] = {}
    for frame in frames:
        files.setdefault(id(frame.ds), []).append(frame)
    shape = announced_shape(frames[0].ds, frames[0].file)
    check_size(frames[0].file, len(frames), *shape[1:])
    parts, pixels = list[Part](), ScanPixels(frames, name)
    first_error: Exception | None = None
    for held in files.values():
        ds = held[0].ds
        try:
            parts.append(read_part(ds, held[0].file, sorted(frame.index for frame in held), partial(pixels.put, ds)))
        except (MemoryError, TooLarge):
            raise
        except Exception as error:
            first_error = first_error or error
            pixels.lose(held)
        let_go(ds)
    if first_error and not parts:
        raise first_error
    good = {id(part.ds) for part in parts}
    return parts, [frame for frame in frames if id(frame.ds) in good], pixels, len(files) - len(parts)


def _frame_windows(parts: list[Part], frames: list[Frame]) -> list[Window] | None:
    """Return one window a frame where the frames differ and all of them have one."""
    windows: dict[tuple[int, int], Window] = {}
    for part in parts:
        given = part.given.frame_windows or part.given.windows[:1] * len(part.frames)
        if not given:
            return None
        windows |= {(id(part.ds), index): window for index, window in zip(part.frames, given, strict=True)}
    found = [windows[id(frame.ds), frame.index] for frame in frames]
    return found if len(set(found)) > 1 else None


def _order_notes(frames: list[Frame]) -> list[str]:
    between = gaps(frames)
    if not between and len({id(frame.ds) for frame in frames}) > 1:
        return ["The files state no usable slice positions, so slices are in the order of their numbers."]
    if len(between) > 1 and max(between) > 1.5 * min(between):
        return ["The distance between slices varies, so slices may be missing."]
    return []


def _spacing(frames: list[Frame], notes: list[str]) -> tuple[float, float, float] | None:
    """Return millimetres between slices, rows and columns (PS3.3 10.7.1.3: row spacing comes first)."""
    ds = frames[0].ds
    measures = group_item(ds, frames[0].index, "PixelMeasuresSequence") or ds
    plane = plane_spacing(ds, frames[0].index)
    if plane is None:
        if any(key in source for source in (measures, ds) for key in ("PixelSpacing", "ImagerPixelSpacing")):
            notes.append(SPACING_NOTE)
        return None
    between = _median(gaps(frames)) or _stated_gap(measures)
    if not between or between <= 0:
        between = 1.0
        if len(frames) > 1:
            notes.append("The distance between slices is not stated and is taken as 1 mm.")
    return float(between), plane[0], plane[1]


def _shape_alone(ds: Dataset, notes: list[str]) -> tuple[float, float, float] | None:
    """Distances in the width of a pixel, where a file states that its pixels aren't square and not how large."""
    aspect = pixel_shape(ds)
    if aspect in (None, 1):
        return None
    notes.append("The file states the shape of its pixels and not their size, so nothing is measured in millimetres.")
    return 1.0, aspect, 1.0


def _median(numbers: list[float]) -> float | None:
    return float(np.median(numbers)) if numbers else None


def _stated_gap(measures: Dataset) -> float | None:
    # In nuclear medicine its sign tells the direction of the slices (PS3.3, NM Reconstruction).
    between = abs(finite_number(measures, "SpacingBetweenSlices") or 0.0)
    return between or finite_number(measures, "SliceThickness")
