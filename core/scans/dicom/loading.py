"""One DICOM file, or the files of a series, → Scan."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.pixels import check_size
from core.scans.dicom.reading import read_dicom, transfer_syntax
from core.scans.dicom.tags import coded, displayed_tags
from core.scans.dicom.values import Part, finite_number, finite_numbers, group_item, joined, read_part
from core.scans.markers import derived_kind
from core.scans.scan import Scan, ScanError
from core.scans.windowing import CT_PRESETS, ROBUST_RANGE, Window, full_window, identity_window, robust_window

_SAME_POSITION = 1e-3
_PARALLEL = 1e-2
_MOST_STRETCH = 20

SPACING_NOTE = "The stated distances between pixels cannot be right, so they are taken as unknown."


def load_dicom(files: list[tuple[str, bytes]], name: str, sha256: str) -> Scan:
    """Build a scan from one DICOM file, or from those of a series.

    Parameters
    ----------
    files : list of (str, bytes)
        Name and content of each file; several files are one study, of which the largest consistent series is taken.
    name : str
        Name of the scan.
    sha256 : str
        Digest of the source.

    Returns
    -------
    Scan
        Frames ordered by their position along the normal (PS3.3 C.7.6.2.1.1), else by Instance Number, else by name.

    Raises
    ------
    ScanError
        Where no image can be read.
    """
    if len(files) > 1:
        return _build(*_series(files, name), name, sha256)
    return _build([read_part(read_dicom(files[0][1], name), name)], [], name, sha256)


def _series(files: list[tuple[str, bytes]], name: str) -> tuple[list[Part], list[str]]:
    images, first_error = _readable(files)
    if not images:
        raise first_error or ScanError(f"'{name}' holds no DICOM image: choose a folder or ZIP that does.")
    chosen, more = _largest(images)
    first = chosen[0][1]
    samples = int(finite_number(first, "SamplesPerPixel") or 1)
    check_size(name, sum(_frames(ds) for _, ds in chosen), int(first.Rows), int(first.Columns), samples)
    parts = _decodable(chosen)
    notes = []
    unread = len(files) - len(images) + len(chosen) - len(parts)
    if unread:
        notes.append(f"{unread} of the {len(files)} DICOM files hold no readable image and were left out.")
    return parts, notes + more


def _decodable(chosen: list[tuple[str, Dataset]]) -> list[Part]:
    """Decode what can be decoded; raise the first error where nothing can."""
    parts, first_error = [], None
    for file_name, ds in chosen:
        try:
            parts.append(read_part(ds, file_name))
        except ScanError as error:
            first_error = first_error or error
    if first_error and not parts:
        raise first_error
    return parts


def _frames(ds: Dataset) -> int:
    return int(finite_number(ds, "NumberOfFrames") or 1)


def _readable(files: list[tuple[str, bytes]]) -> tuple[list[tuple[str, Dataset]], ScanError | None]:
    images, first_error = [], None
    for file_name, data in sorted(files):
        try:
            ds = read_dicom(data, file_name)
            _ = int(ds.Rows), int(ds.Columns)
            images.append((file_name, ds))
        except ScanError as error:
            first_error = first_error or error
        except (AttributeError, TypeError, ValueError):
            first_error = first_error or ScanError(f"'{file_name}' lacks Rows or Columns: export it again.")
    return images, first_error


def _largest(images: list[tuple[str, Dataset]]) -> tuple[list[tuple[str, Dataset]], list[str]]:
    """Return the largest series and, in it, the largest set of images of one kind."""
    notes = []
    series = _grouped(images, lambda ds: str(ds.get("SeriesInstanceUID", "")))
    if len(series) > 1:
        notes.append(f"{len(series)} series are here; the largest, of {len(series[0])} images, is shown.")
    kinds = _grouped(series[0], _kind)
    if len(kinds) > 1:
        left = len(series[0]) - len(kinds[0])
        notes.append(f"{left} images of another size or kind were left out of the series.")
    return kinds[0], notes


def _kind(ds: Dataset) -> tuple[object, ...]:
    return int(ds.Rows), int(ds.Columns), ds.get("SamplesPerPixel", 1), str(ds.get("PhotometricInterpretation", ""))


def _grouped(images: list[tuple[str, Dataset]], key) -> list[list[tuple[str, Dataset]]]:  # noqa: ANN001
    groups = defaultdict(list)
    for image in images:
        groups[key(image[1])].append(image)
    return sorted(groups.values(), key=len, reverse=True)


def _build(parts: list[Part], notes: list[str], name: str, sha256: str) -> Scan:
    for part in parts:
        _locate(part)
    values, valid, frame_windows, gap, more = _ordered(parts)
    first = parts[0]
    notes = [*notes, *more, *dict.fromkeys(note for part in parts for note in part.notes)]
    derived = derived_kind(first.ds) if len(parts) == 1 else None
    if values.ndim == 4 and derived is None:
        values = collapsed(values)
    windows: tuple[Window, ...] = ()
    if values.ndim == 3:
        windows = _presets(first, values, valid, notes)
    notes += _burned_in(first.ds)
    return Scan(
        name=name,
        kind="dicom",
        values=values,
        modality=coded(first.ds, "Modality"),
        windows=windows,
        inverted=values.ndim == 3 and first.inverted,
        spacing=_spacing(first.ds, gap, values.shape[0], notes),
        tags=displayed_tags(first.ds, transfer_syntax(first.ds)),
        notes=tuple(notes),
        derived=derived,
        sha256=sha256,
        exact=derived is not None and int(first.ds.BitsStored) == 16,
        voi_lut=first.voi_lut if values.ndim == 3 else None,
        frame_windows=frame_windows,
    )


def collapsed(colour: np.ndarray) -> np.ndarray:
    """Return (F, H, W) where the three channels of (F, H, W, 3) are all equal, else `colour` itself."""
    same = np.array_equal(colour[..., 0], colour[..., 1]) and np.array_equal(colour[..., 0], colour[..., 2])
    return np.ascontiguousarray(colour[..., 0]) if same else colour


def _locate(part: Part) -> None:
    """Find where each frame lies along the normal of the first (PS3.3 C.7.6.2.1.1)."""
    count = part.values.shape[0]
    places = [_plane(part.ds, index) for index in range(count)]
    if any(place is None for place in places):
        return
    normals = [place[1] for place in places]  # type: ignore[index]
    if any(np.abs(normal - normals[0]).max() > _PARALLEL for normal in normals):
        return
    part.normal = normals[0]
    part.positions = [float(place[0] @ part.normal) for place in places]  # type: ignore[index]


def _plane(ds: Dataset, index: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the position and the unit normal of a frame, in millimetres of the patient."""
    position = finite_numbers(group_item(ds, index, "PlanePositionSequence") or ds, "ImagePositionPatient")
    axes = finite_numbers(group_item(ds, index, "PlaneOrientationSequence") or ds, "ImageOrientationPatient")
    if len(position) != 3 or len(axes) != 6:
        return None
    normal = np.cross(axes[:3], axes[3:])
    length = float(np.linalg.norm(normal))
    return (np.asarray(position), normal / length) if length > 0.5 else None


def _ordered(
    parts: list[Part],
) -> tuple[np.ndarray, np.ndarray | None, tuple[Window, ...] | None, float | None, list[str]]:
    """Join the frames of all parts in their order; return the distance between neighbours as well."""
    notes: list[str] = []
    positions = _positions(parts)
    if positions is None and len(parts) > 1:
        parts.sort(key=_instance_number)
        notes.append("The files state no usable slice positions, so slices are in the order of their numbers.")
    values = joined([part.values for part in parts], np.concatenate) if len(parts) > 1 else parts[0].values
    valid = _joined_valid(parts)
    windows = _joined_windows(parts)
    if positions is None:
        return values, valid, windows, None, notes
    order = np.argsort(positions, kind="stable")
    gaps = np.diff(np.asarray(positions)[order])
    if len(gaps) > 1 and gaps.max() > 1.5 * gaps.min():
        notes.append("The distance between slices varies, so slices may be missing.")
    if not np.array_equal(order, np.arange(len(order))):
        values = values[order]
        valid = valid[order] if valid is not None else None
        windows = tuple(windows[index] for index in order) if windows else None
    return values, valid, windows, float(np.median(gaps)), notes


def _positions(parts: list[Part]) -> list[float] | None:
    """Return the position of every frame along one normal, or None where they are unknown, oblique or repeated."""
    if any(part.positions is None for part in parts):
        return None
    normal = parts[0].normal
    if any(np.abs(part.normal - normal).max() > _PARALLEL for part in parts):  # type: ignore[operator]
        return None
    positions = [position for part in parts for position in part.positions or []]
    if len(positions) < 2 or np.diff(np.sort(positions)).min() < _SAME_POSITION:
        return None
    return positions


def _instance_number(part: Part) -> float:
    number = finite_number(part.ds, "InstanceNumber")
    # A stable sort keeps the order of names among files without a number.
    return float("inf") if number is None else number


def _joined_valid(parts: list[Part]) -> np.ndarray | None:
    if all(part.valid is None for part in parts):
        return None
    masks = [np.ones(part.values.shape, bool) if part.valid is None else part.valid for part in parts]
    return np.concatenate(masks)


def _joined_windows(parts: list[Part]) -> tuple[Window, ...] | None:
    """Return one window a frame where the frames differ and all of them have one."""
    windows: list[Window] = []
    for part in parts:
        if part.frame_windows:
            windows += part.frame_windows
        elif part.windows:
            windows += [part.windows[0]] * part.values.shape[0]
        else:
            return None
    return tuple(windows) if len(set(windows)) > 1 else None


def _presets(part: Part, values: np.ndarray, valid: np.ndarray | None, notes: list[str]) -> tuple[Window, ...]:
    """Return the windows to choose from, the default first."""
    robust, full = robust_window(values, valid), full_window(values, valid)
    if part.windows:
        presets = [*part.windows, full, robust]
    elif part.identity is not None or part.values.ndim == 4:
        # Colour fills its type, also where it turned out to be grey.
        whole = part.identity or identity_window(8 * values.dtype.itemsize)
        presets = [replace(whole, name="Stored range"), full, robust]
    else:
        presets = [robust, full]
        if part.voi_lut is None:
            notes.append(f"The file brings no window, so one was derived from its values ({ROBUST_RANGE.lower()}).")
    if coded(part.ds, "Modality") == "CT":
        presets += CT_PRESETS
    return tuple(presets)


def plausible_plane(rows: float, columns: float) -> bool:
    """Return True where the distances between rows and columns are positive, finite and of similar size."""
    low, high = sorted((rows, columns))
    return bool(np.isfinite([low, high]).all()) and low > 0 and high <= _MOST_STRETCH * low


def _spacing(ds: Dataset, gap: float | None, frames: int, notes: list[str]) -> tuple[float, float, float] | None:
    """Return millimetres between slices, rows and columns (PS3.3 10.7.1.3: row spacing comes first)."""
    measures = group_item(ds, 0, "PixelMeasuresSequence") or ds
    plane = finite_numbers(measures, "PixelSpacing") or finite_numbers(ds, "ImagerPixelSpacing")
    if len(plane) != 2 or not plausible_plane(*plane):
        if any(source.get(key) for source in (measures, ds) for key in ("PixelSpacing", "ImagerPixelSpacing")):
            notes.append(SPACING_NOTE)
        return None
    between = gap or finite_number(measures, "SpacingBetweenSlices") or finite_number(measures, "SliceThickness")
    if not between or between <= 0:
        between = 1.0
        if frames > 1:
            notes.append("The distance between slices is not stated and is taken as 1 mm.")
    return float(between), plane[0], plane[1]


def _burned_in(ds: Dataset) -> list[str]:
    stated = coded(ds, "BurnedInAnnotation")
    if stated == "NO":
        return []
    if stated == "YES":
        return ["The file says that text is burned into its pixels, which may identify the patient; it is still there."]
    return ["The file does not say whether text is burned into its pixels: look before you share the picture."]
