"""Several files: folders and ZIP archives."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import dicom, nifti, picture, ramp, zipped
from outcomes import outcome

from core.scans import ScanError, Study, load_scan
from core.scans.archive import pack, unpack

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


def test_files_of_one_name_or_none_are_all_packed() -> None:
    files = [("a.dcm", b"1"), ("one/a.dcm", b"2"), ("", b"3"), ("", b"4")]
    found = unpack(pack(files, "study").view, "study").files
    assert [bytes(content.view) for _, content in found] == [b"1", b"2", b"3", b"4"]


def test_folder_without_scan(tmp_path: Path) -> None:
    assert "empty folder" in str(outcome(tmp_path))
    (tmp_path / "a.txt").write_text("hello")
    assert isinstance(outcome(tmp_path), str)


def test_unreadable_slices_are_left_out() -> None:
    files = slices([1, 2]) | {"broken.dcm": b"\0" * 128 + b"DICM" + b"\0" * 40}
    scan = load_scan(zipped(files))
    assert scan.frame_count == 2 and any("left out" in note for note in scan.notes)


def test_one_slice_with_damaged_attributes_costs_no_other() -> None:
    files = slices([1, 2, 3])
    for tag in (b"\x28\0\x04\0CS", b"\x20\0\x0e\0UI", b"\x08\0\x60\0CS", b"\x28\0\x01\x01US"):
        assert files["001.dcm"].count(tag) == 1
        damaged = files["001.dcm"].replace(tag, tag[:4] + b"Q!")
        scan = load_scan(zipped(files | {"001.dcm": damaged}))
        assert scan.values[:, 0, 0].tolist() == [1, 3] and any("no readable image" in note for note in scan.notes)


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


def test_a_damaged_picture_costs_no_other() -> None:
    files = {f"s{index}.png": picture(ramp(4, 4, np.uint8, index)) for index in (1, 2, 3)}
    files["s2.png"] = files["s2.png"][:40]
    scan = load_scan(zipped(files))
    assert scan.frame_count == 2 and scan.left_out == ("1 of the 3 pictures can't be read and were left out.",)
    refused(zipped(dict.fromkeys(("a.png", "b.png"), files["s2.png"])), "a.png")


def test_files_that_were_brought_together() -> None:
    brought = [*slices([1, 2]).items(), *(("C:\\x\\000.dcm", data) for data in slices([3]).values())]
    scan = Study.of_files([*brought, ("T1: axial.dcm", b"hello there"), ("..", b"x"), ("a.zip", zipped({"a": b"x"}))])
    opened = scan.begin().finish()
    assert opened.name == "000.dcm and 5 more" and opened.values[:, 0, 0].tolist() == [1, 2, 3]
    assert opened.left_out == ("3 other files were left out.",)
    assert Study.of_files(brought).begin().finish().sha256 == Study.of_files(brought).begin().finish().sha256
    alone = Study.of_files(brought[:1]).begin().finish()
    assert alone.name == "000.dcm" and alone.sha256 == load_scan(brought[0][1]).sha256


def test_limits_hold_for_all_files_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.scans.limits.MAX_UPLOAD_BYTES", 20)
    assert Study.of_files([("a", bytes(10)), ("b", bytes(10))])
    with pytest.raises(ScanError, match="'a and 1 more' is larger"):
        Study.of_files([("a", bytes(10)), ("b", bytes(11))])
    monkeypatch.setattr("core.scans.limits.MAX_FILES", 2)
    with pytest.raises(ScanError, match="3 files are more than 2"):
        Study.of_files([(name, b"") for name in "abc"])


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
    refused(zipped({"a.png": file})[:-30], "damaged")
    monkeypatch.setattr("core.scans.limits.MAX_FILES", 2)
    refused(zipped({name: file for name in "abc"}), "3 files")


@pytest.mark.usefixtures("in_this_process")
def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(zipped({"a.png": b"\0" * (8 * 2**20)}), "times its size")
    monkeypatch.setattr("core.scans.limits.MAX_ARCHIVE_BYTES", 2**20)
    refused(zipped({"a": bytes(2**20), "b": b"x"}, zipfile.ZIP_STORED), "more than 1 MB")


def test_a_patient_cd_opens_without_what_is_no_image() -> None:
    others = {
        "DICOMDIR": b"x" * 200, "viewer/viewer.jar": zipped({"a.class": b"x"}), "viewer/viewer.exe": b"MZ" + bytes(300),
        "viewer/run.log.gz": gzip.compress(b"started\n" * 9), "autorun.inf": b"[autorun]", "README.txt": b"hello there",
        "viewer/blank.bin": bytes(8 * 2**20), "help.pdf": b"%PDF-1.4",
    }  # fmt: skip
    scan = load_scan(zipped(slices([1, 2, 3]) | others))
    assert scan.values[:, 0, 0].tolist() == [1, 2, 3] and "7 other files were left out." in scan.notes


def test_what_cannot_be_unpacked_safely_is_left_out() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in (slices([1, 2]) | {"../outside.dcm": b"x", "zeros.dcm": bytes(8 * 2**20)}).items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    scan = load_scan(stream.getvalue())
    assert scan.frame_count == 2 and "3 other files were left out." in scan.notes


def test_gzipped_files_of_a_series() -> None:
    packed = {f"{name}.gz": gzip.compress(data) for name, data in slices([3, 1, 2]).items()}
    assert load_scan(zipped(packed)).values[:, 0, 0].tolist() == [1, 2, 3]
    assert load_scan(list(packed.values())[0], "a.dcm.gz").values.shape == (1, 4, 4)
    picture_in_it = gzip.compress(picture(ramp(4, 4, np.uint8, 1)))
    assert load_scan(zipped({"a.png.gz": picture_in_it})).kind == "raster"


def test_gzipped_files_in_a_folder(tmp_path: Path) -> None:
    for name, data in slices([3, 1, 2]).items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"started"))
    scan = load_scan(tmp_path)
    assert scan.frame_count == 3 and "1 other file was left out." in scan.notes


def test_gzip_bombs_in_an_archive_are_left_out() -> None:
    bomb = gzip.compress(dicom(np.zeros((4096, 4096), np.uint16)))
    refused(zipped({"bomb.dcm.gz": bomb}), "far more than its size")
    refused(bomb, "far more than its size")
    assert load_scan(zipped(slices([1, 2]) | {"bomb.dcm.gz": bomb})).frame_count == 2
    refused(zipped({"cut.dcm.gz": gzip.compress(dicom(ramp()))[:12] + b"\xff" * 9}), "damaged")


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
