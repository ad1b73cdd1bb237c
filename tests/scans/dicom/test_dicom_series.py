"""Which DICOM images are a series, and which series is shown."""

from __future__ import annotations

import numpy as np
import pytest
from builders import dataset, dicom, saved, zipped
from pydicom.uid import SecondaryCaptureImageStorage

from core.scans import ScanError, Study, list_series, load_scan

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
NORMALS = {tuple(AXIAL): (0, 0, 1), tuple(CORONAL): (0, 1, 0), tuple(SAGITTAL): (-1, 0, 0)}


def stack(name: str, count: int, axes: list[int] | None = AXIAL, start: int = 0, **tags: object) -> dict[str, bytes]:
    """Files of a series, each filled with its number."""
    files = {}
    for number in range(start, start + count):
        place = {}
        if axes is not None:
            position = [3.0 * number * along for along in NORMALS[tuple(axes)]]
            place = {"ImageOrientationPatient": axes, "ImagePositionPatient": position}
        common = {"SeriesInstanceUID": f"1.2.{len(name)}", "InstanceNumber": number, "PixelSpacing": [1, 1]}
        files[f"{name}/{number:02}"] = dicom(np.full((4, 4), number, np.int16), **common | place | tags)
    return files


def shown(files: dict[str, bytes]) -> list[int]:
    return load_scan(zipped(files)).values[:, 0, 0].tolist()


@pytest.mark.parametrize(
    "tags",
    [{"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, {"SeriesDescription": "AAHead_Scout"},
     {"SeriesDescription": "3-plane loc"}, {"SeriesDescription": "Localiser"}, {"SeriesDescription": "SURVEY"},
     {"ProtocolName": "3Plane Loc"}],
)  # fmt: skip
def test_a_larger_localizer_is_passed_over(tags: dict) -> None:
    data = zipped(stack("scout", 9, **tags) | stack("t1", 5, SeriesDescription="T1 local shim"))
    scan = load_scan(data)
    assert scan.frame_count == 5 and any("2 series" in note and "localizer" in note for note in scan.notes)
    assert [series.localizer for series in list_series(data)] == [False, True]
    assert load_scan(data, series=1).frame_count == 9


def test_a_few_slices_in_several_planes_are_a_localizer() -> None:
    crossed = stack("loc", 3, AXIAL) | stack("loc", 3, CORONAL, 3) | stack("loc", 3, SAGITTAL, 6)
    data = zipped(crossed | stack("t1", 3))
    assert load_scan(data).plane == "axial" and not list_series(data)[0].localizer
    assert all(series.localizer for series in list_series(data)[1:])


def test_a_localizer_is_shown_where_nothing_else_is_there() -> None:
    assert len(shown(stack("scout", 3, SeriesDescription="Localizer"))) == 3


def test_images_go_before_pictures_of_a_screen() -> None:
    screens = stack("screens", 9, None, SOPClassUID=SecondaryCaptureImageStorage)
    scan = load_scan(zipped(screens | stack("t1", 4)))
    assert scan.frame_count == 4
    assert "2 series are here; the largest that is no screenshot, document or segmentation, of 4" in scan.notes[0]
    scout = stack("scout", 8, SeriesDescription="Scout")
    assert "; the largest that is no localizer, of 4 images" in load_scan(zipped(scout | stack("t1", 4))).notes[0]
    both = load_scan(zipped(scout | screens | stack("t1", 4))).notes[0]
    assert "3 series are here; the largest that is no localizer, screenshot, document or segmentation, of" in both
    small = stack("screens", 3, None, SOPClassUID=SecondaryCaptureImageStorage)
    assert "2 series are here; the largest, of 4" in load_scan(zipped(small | stack("t1", 4))).notes[0]


def test_one_slice_in_another_plane_is_left_out() -> None:
    files = stack("t1", 6, start=1) | {"t1/00": list(stack("t1", 1, CORONAL).values())[0]}
    scan = load_scan(zipped(files))
    assert scan.values[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6] and scan.plane == "axial" and scan.spacing == (3, 1, 1)
    assert "1 slice in another plane was left out." in scan.notes


def test_slices_without_a_place_are_left_out() -> None:
    files = stack("t1", 6) | stack("t1", 2, AXIAL, 10, ImagePositionPatient=[])
    scan = load_scan(zipped(files))
    assert scan.values[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5] and scan.spacing == (3, 1, 1)
    assert "2 slices without a stated place were left out." in scan.notes


def test_two_planes_of_one_series_are_two_to_choose_from() -> None:
    data = zipped(stack("t1", 6) | stack("t1", 4, SAGITTAL, 10))
    assert [(series.plane, series.slices) for series in list_series(data)] == [("axial", 6), ("sagittal", 4)]
    assert load_scan(data, series=1).plane == "sagittal"


def test_copies_count_once_and_images_with_one_uid_do_not() -> None:
    files = stack("t1", 4)
    scan = load_scan(zipped(files | {f"copy of {name}": data for name, data in files.items()}))
    assert scan.frame_count == 4 and scan.volume_count == 1 and any("copies" in note for note in scan.notes)
    same = {}
    for number in range(3):
        position = [0, 0, number]
        ds = dataset(np.full((4, 4), 7, np.int16), ImagePositionPatient=position, ImageOrientationPatient=AXIAL)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        same[str(number)] = saved(ds)
    assert load_scan(zipped(same)).frame_count == 3


def test_a_series_is_told_without_its_own_words() -> None:
    tags = {"SeriesDescription": "Jane Doe", "ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 12}
    data = zipped(stack("t1", 4, **tags) | {"notes.txt": b"Jane Doe"})
    (series,) = list_series(data, "study.zip")
    assert series.description == "axial T1, 4 slices" and series.modality == "MR" and series.spacing == (3, 1, 1)
    assert series.notes == ("1 other file was left out.",) and "Doe" not in repr(series)


@pytest.mark.parametrize("series", [-1, 1, "0", True])
def test_a_series_that_is_not_there(series: object) -> None:
    with pytest.raises(ScanError, match="series"):
        load_scan(zipped(stack("t1", 2)), series=series)  # type: ignore[arg-type]


def test_scans_of_one_study_are_told_apart() -> None:
    data = zipped(stack("t1", 5) | stack("scout", 9, SeriesDescription="scout"))
    first, other = load_scan(data), load_scan(data, series=1)
    assert [(scan.series_index, scan.series_count, scan.frame_count) for scan in (first, other)] == [
        (0, 2, 5),
        (1, 2, 9),
    ]
    assert first.sha256 == other.sha256 and first.key != other.key


def test_a_study_shows_a_picture_of_each_series_and_what_was_left_out() -> None:
    wide = {name: data for name, data in stack("t1", 5).items()}
    ramp = np.tile(np.arange(8, dtype=np.int16), (4, 1))
    wide |= {f"flat/{number}": dicom(ramp, SeriesInstanceUID="7", InstanceNumber=number) for number in range(3)}
    broken = {"bad/0": dicom(np.zeros((4, 4), np.int16), SeriesInstanceUID="9")[:-4]}
    opening = Study.of_files([*(wide | broken).items(), ("a.txt", b"hello")]).begin_list()
    t1, flat, bad = opening.listed()
    assert t1.thumbnail is not None and t1.thumbnail.shape == (96, 96) and t1.thumbnail.dtype == np.uint8
    assert flat.thumbnail is not None and flat.thumbnail.shape == (48, 96)
    assert flat.thumbnail[0, 0] == 0 and flat.thumbnail[0, -1] == 255 and bad.thumbnail is None
    assert t1.notes == ("1 other file was left out.",)


def test_what_is_refused_is_refused_when_listed() -> None:
    with pytest.raises(ScanError, match="no scan"):
        list_series(zipped({"a.txt": b"a", "b.txt": b"b"}))
