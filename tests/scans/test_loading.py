"""The door: sources, names, limits, and what is no scan."""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from builders import dicom, picture, ramp, zipped
from outcomes import outcome

from core.scans import ScanError, load_scan

DATA = dicom(ramp())


def test_sources_give_the_same_scan(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        scans = [load_scan(source) for source in (path, str(path), DATA, bytearray(DATA), io.BytesIO(DATA), file)]
    for scan in scans:
        assert scan.sha256 == hashlib.sha256(DATA).hexdigest() and scan.kind == "dicom"
        np.testing.assert_array_equal(scan.frame(), scans[0].frame())
    assert [scan.name for scan in scans] == ["a.dcm", "a.dcm", "upload", "upload", "upload", "a.dcm"]


def test_name_is_shown_on_one_line() -> None:
    assert load_scan(DATA, "a\nb\x00.dcm").name == "a b .dcm"
    assert len(load_scan(DATA, "x" * 500).name) <= 60


@pytest.mark.parametrize(
    "data,words",
    [
        (b"", "empty"),
        (b"hello, this is a note\n" * 20, "text file"),
        (b"<!DOCTYPE html><html><body></body></html>", "web page"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b'{"a": 1}', "JSON"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "office document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"Rar!\x1a\x07\x00", "RAR"),
        (b"7z\xbc\xaf\x27\x1c\0\0", "7-Zip"),
        (b"NRRD0004\n", "NRRD"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (b"\0" * 257 + b"ustar\0" + b"\0" * 300, "tar"),
        (gzip.compress(b"hello", mtime=0), "gzip"),
        (bytes(range(256)) * 4, "no format known"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.text"}), "office"),
    ],
)
def test_what_is_no_scan(data: bytes, words: str) -> None:
    text = outcome(data, "upload.dcm")
    assert isinstance(text, str) and words in text and "'upload.dcm'" in text


@pytest.mark.parametrize("source", [None, 3, object(), io.StringIO("text"), "/no/such/file", "bad\0path", ""])
def test_odd_sources(source: object) -> None:
    with pytest.raises(ScanError):
        load_scan(source)  # type: ignore[arg-type]


def test_a_source_that_fails() -> None:
    class Broken:
        name = "broken.dcm"

        def read(self, size: int) -> bytes:
            raise RuntimeError("disk")

    with pytest.raises(ScanError, match="broken.dcm"):
        load_scan(Broken())  # type: ignore[arg-type]


@pytest.mark.usefixtures("in_this_process")
def test_upload_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("core.scans.limits.MAX_UPLOAD_BYTES", 100)
    path = tmp_path / "a.dcm"
    path.write_bytes(DATA)
    for source in (DATA, io.BytesIO(DATA), path):
        assert "larger than" in str(outcome(source))


def test_wrong_extension_is_noted() -> None:
    assert any("named like PNG but holds DICOM" in note for note in load_scan(DATA, "a.png").notes)
    grey = picture(ramp(4, 4, np.uint8, 1))
    assert any("holds PNG" in note for note in load_scan(grey, "a.dcm").notes)
    assert not any("named like" in note for note in load_scan(grey, "a.png").notes)
    assert not any("named like" in note for note in load_scan(DATA, "IM0001").notes)


def test_many_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor
    from importlib.resources import files

    folder = Path(str(files("pydicom"))) / "data" / "test_files"
    names = ["MR_small_jp2klossless.dcm", "SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm"] * 8
    alone = {name: load_scan(folder / name).values for name in set(names)}
    with ThreadPoolExecutor(4) as pool:
        for name, scan in zip(names, pool.map(lambda name: load_scan(folder / name), names), strict=True):
            np.testing.assert_array_equal(scan.values, alone[name])
