"""Several files: folders and ZIP archives."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import dicom, nifti, picture, ramp, zipped
from outcomes import outcome

from core.scans import load_scan

AXES = [1, 0, 0, 0, 1, 0]


def refused(data: bytes, *words: str) -> None:
    text = outcome(data, "s.zip")
    assert isinstance(text, str), text
    assert all(word in text for word in words), text


def slices(places: list[float], **tags: object) -> dict[str, bytes]:
    """Return files named in order, each filled with its place."""
    return {
        f"{index:03}.dcm": dicom(
            np.full((4, 4), int(place), np.int16),
            SeriesInstanceUID="1.2.3",
            ImagePositionPatient=[0, 0, place],
            ImageOrientationPatient=AXES,
            PixelSpacing=[1, 2],
            SliceThickness=99,
            **tags,
        )
        for index, place in enumerate(places)
    }


def test_slices_are_ordered_by_position() -> None:
    scan = load_scan(zipped(slices([30, 0, 20, 10])))
    assert scan.values[:, 0, 0].tolist() == [0, 10, 20, 30]
    assert scan.spacing == (10, 1, 2) and scan.frame_count == 4


def test_position_is_measured_along_the_normal() -> None:
    # Sagittal slices: the normal of (0,1,0) × (0,0,-1) points to -x.
    files = {
        name: dicom(
            np.full((2, 2), place, np.int16), SeriesInstanceUID="1.2", ImagePositionPatient=[place, 9, 9],
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        )
        for name, place in (("a", 1), ("b", 2), ("c", 3))
    }  # fmt: skip
    assert load_scan(zipped(files)).values[:, 0, 0].tolist() == [3, 2, 1]


def test_instance_number_where_positions_are_missing_or_equal() -> None:
    def file(number: int, **tags: object) -> bytes:
        return dicom(np.full((2, 2), number, np.int16), InstanceNumber=number, SeriesInstanceUID="1.2", **tags)

    for tags in ({}, {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": AXES}):
        scan = load_scan(zipped({"a": file(10, **tags), "b": file(2, **tags), "c": file(1, **tags)}))
        assert scan.values[:, 0, 0].tolist() == [1, 2, 10]
        assert any("numbers" in note for note in scan.notes)


def test_largest_series_and_largest_shape() -> None:
    files = slices([1, 2, 3])
    files["scout.dcm"] = dicom(ramp(8, 8), SeriesInstanceUID="1.2.3")
    files["other.dcm"] = dicom(ramp(4, 4), SeriesInstanceUID="9.9")
    scan = load_scan(zipped(files))
    assert scan.values.shape == (3, 4, 4)
    assert any("2 series" in note for note in scan.notes) and any("another size" in note for note in scan.notes)


def test_each_slice_is_rescaled_by_its_own_slope() -> None:
    files = {}
    for index, slope in enumerate((1, 2.5)):
        files |= {
            f"{index}": dicom(
                np.full((2, 2), 4, np.uint16), SeriesInstanceUID="1.2", RescaleSlope=slope, RescaleIntercept=0,
                ImagePositionPatient=[0, 0, index], ImageOrientationPatient=AXES,
            )
        }  # fmt: skip
    assert load_scan(zipped(files)).values[:, 0, 0].tolist() == [4, 10]


def test_windows_that_differ_from_slice_to_slice() -> None:
    files = {}
    for index in range(2):
        files |= {f"{index}": list(slices([index], WindowCenter=index + 0.5, WindowWidth=2).values())[0]}
    scan = load_scan(zipped(files))
    assert scan.frame_windows is not None and [window.center for window in scan.frame_windows] == [0.5, 1.5]


def test_gap_is_said() -> None:
    assert any("missing" in note for note in load_scan(zipped(slices([0, 1, 2, 9]))).notes)


def test_folder(tmp_path: Path) -> None:
    for name, data in slices([5, 4, 3]).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "README.txt").write_text("notes")
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    scan = load_scan(tmp_path)
    assert scan.values[:, 0, 0].tolist() == [3, 4, 5] and scan.name == tmp_path.name
    assert any("1 other file" in note for note in scan.notes)


def test_folder_without_scan(tmp_path: Path) -> None:
    assert "empty folder" in str(outcome(tmp_path))
    (tmp_path / "a.txt").write_text("hello")
    assert isinstance(outcome(tmp_path), str)


def test_unreadable_slices_are_left_out() -> None:
    files = slices([1, 2]) | {"broken.dcm": b"\0" * 128 + b"DICM" + b"\0" * 40}
    scan = load_scan(zipped(files))
    assert scan.frame_count == 2 and any("left out" in note for note in scan.notes)


def test_undecodable_slices_are_left_out() -> None:
    files = slices([1, 2, 3])
    scan = load_scan(zipped(files | {"001.dcm": files["001.dcm"][:-4]}))
    assert scan.frame_count == 2 and any(note.startswith("1 of the 3 DICOM files") for note in scan.notes)
    refused(zipped({name: data[:-4] for name, data in files.items()}), "'000.dcm'", "cut short")


@pytest.mark.parametrize("data", [picture(ramp(4, 4, np.uint8, 1)), nifti(np.zeros((3, 4, 5), np.int16), packed=True),
                                  nifti(np.zeros((3, 4, 5), np.int16)), dicom(ramp())])  # fmt: skip
def test_archive_of_one_file(data: bytes) -> None:
    name = "a.nii.gz" if data[:2] == b"\x1f\x8b" else "a"
    scan = load_scan(zipped({name: data, "__MACOSX/._a": b"x", ".DS_Store": b"y"}))
    np.testing.assert_array_equal(scan.values, load_scan(data).values)


def test_pictures_of_one_size_are_stacked_in_natural_order() -> None:
    files = {f"s{index}.png": picture(np.full((2, 2), index, np.uint8)) for index in (10, 9, 1)}
    assert load_scan(zipped(files)).values[:, 0, 0].tolist() == [1, 9, 10]
    files["s2.png"] = picture(ramp(3, 3, np.uint8, 1))
    refused(zipped(files), "different sizes")


def test_stack_of_pictures_is_windowed_as_a_whole() -> None:
    files = {f"{top}.png": picture(np.array([[0, top]], np.uint16)) for top in (1000, 4000)}
    scan = load_scan(zipped(files))
    np.testing.assert_allclose([scan.frame(0), scan.frame(1)], [[[0, 0.25]], [[0, 1]]], atol=1e-6)
    assert sum("part of its range" in note for note in scan.notes) == 1


@pytest.mark.usefixtures("in_this_process")
def test_refused_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    file = picture(ramp(4, 4, np.uint8, 1))
    refused(zipped({}), "empty")
    refused(zipped({"a.txt": b"hello", "b.txt": b"world"}), "no scan")
    refused(zipped({"a.txt": b"hello there"}), "text file")
    refused(zipped({"../a.png": file}), "leads outside")
    refused(zipped({"/a.png": file}), "leads outside")
    refused(zipped({"..\\a.png": file}), "leads outside")
    refused(zipped({"C:/a.png": file}), "leads outside")
    refused(zipped({"a.zip": zipped({"a.png": file})}), "another archive")
    refused(zipped({"[Content_Types].xml": b"<x/>", "word/a.xml": b"<x/>"}), "office")
    refused(zipped({"a.npy": b"\x93NUMPY"}), "NumPy")
    refused(zipped({"a.png": file}, zipfile.ZIP_LZMA), "unusual compression")
    refused(zipped({"a": nifti(np.zeros((3, 4, 5))), "b": nifti(np.zeros((3, 4, 5)))}), "2 volumes")
    refused(zipped({"a.png": file})[:-30], "damaged")
    monkeypatch.setattr("core.scans.limits.MAX_FILES", 2)
    refused(zipped({name: file for name in "abc"}), "3 files")


@pytest.mark.usefixtures("in_this_process")
def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(zipped({"a.png": b"\0" * (8 * 2**20)}), "times its size")
    monkeypatch.setattr("core.scans.limits.MAX_ARCHIVE_BYTES", 2**20)
    refused(zipped({"a": bytes(2**20), "b": b"x"}, zipfile.ZIP_STORED), "more than 1 MB")


def test_links_and_passwords() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    refused(stream.getvalue(), "link")
    locked = bytearray(zipped({"a.png": b"x"}))
    place = locked.find(b"PK\x01\x02")
    locked[place + 8 : place + 10] = struct.pack("<H", 1)
    refused(bytes(locked), "password")
