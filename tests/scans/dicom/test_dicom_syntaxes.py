"""How DICOM pixels are written: transfer syntaxes, compressed and not, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders import FOUR, dataset, dicom, picture, ramp, saved
from outcomes import outcome, refused
from pydicom import uid
from pydicom.encaps import encapsulate

from core.scans import load_scan

pytestmark = pytest.mark.filterwarnings("ignore")


def test_big_endian_reads_the_same() -> None:
    tags = {"WindowCenter": 100, "WindowWidth": 200}
    little, big = dicom(FOUR, **tags), dicom(FOUR, uid.ExplicitVRBigEndian, **tags)
    np.testing.assert_array_equal(load_scan(little).frame(), load_scan(big).frame())


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_other_uncompressed_syntaxes(syntax: uid.UID) -> None:
    np.testing.assert_array_equal(load_scan(dicom(FOUR, syntax)).values[0], FOUR)


def test_without_preamble_and_meta() -> None:
    ds = dataset(FOUR)
    stream = io.BytesIO()
    del ds.file_meta
    ds.save_as(stream, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(load_scan(stream.getvalue()).values[0], FOUR)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_lossless_compression_gives_the_pixels_back(syntax: uid.UID) -> None:
    name = {uid.RLELossless: "MR_small_RLE", uid.JPEGLSLossless: "MR_small_jpeg_ls_lossless"}
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    packed = folder / f"{name.get(syntax, 'MR_small_jp2klossless')}.dcm"
    np.testing.assert_array_equal(load_scan(packed).values, load_scan(folder / "MR_small.dcm").values)


def _encapsulated(frame: bytes, syntax: uid.UID, **tags: object) -> bytes:
    ds = dataset(ramp(8, 8, np.uint8, 1), **tags)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return saved(ds)


def test_htj2k_is_decoded() -> None:
    frame = picture(ramp(8, 8, np.uint8, 1), "JPEG2000", no_jp2=True)
    # An ordinary codestream in a high-throughput syntax: the same decoder reads both.
    for syntax in (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K, uid.JPEG2000):
        np.testing.assert_array_equal(load_scan(_encapsulated(frame, syntax)).values[0], ramp(8, 8, np.uint8, 1))


@pytest.mark.parametrize(
    "syntax",
    [uid.MPEG2MPML, uid.MPEG4HP41, uid.HEVCMP51, uid.JPEG2000MC, uid.JPIPHTJ2KReferenced,
     uid.SMPTEST211020UncompressedProgressiveActiveVideo],
)  # fmt: skip
def test_syntaxes_without_decoder_are_refused_by_name(syntax: uid.UID) -> None:
    refused(_encapsulated(b"\0" * 8, syntax), syntax.name[:40])


def test_codestream_of_another_size_is_refused_before_decoding() -> None:
    frame = picture(ramp(16, 16, np.uint8, 1), "JPEG")
    refused(_encapsulated(frame, uid.JPEGBaseline8Bit), "8 × 8", "16 × 16")


def test_wrong_syntax_is_refused() -> None:
    refused(_encapsulated(b"\x01\x02\x03\x04" * 8, uid.JPEGBaseline8Bit), "JPEG Baseline")


def test_jp2_box_without_length_is_refused() -> None:
    boxed = picture(ramp(8, 8, np.uint8, 1), "JPEG2000")
    assert boxed[:4] == b"\0\0\0\x0c"
    np.testing.assert_array_equal(load_scan(_encapsulated(boxed, uid.JPEG2000)).values[0], ramp(8, 8, np.uint8, 1))
    refused(_encapsulated(boxed[:12] + b"\0\0\0\0" + boxed[16:], uid.JPEG2000), "JPEG 2000")
    refused(_encapsulated(boxed.replace(b"jp2c", b"jp3c"), uid.JPEG2000), "JPEG 2000")


def test_missing_frames_are_counted() -> None:
    frame = picture(ramp(8, 8, np.uint8, 1), "JPEG")
    text = refused(_encapsulated(frame, uid.JPEGBaseline8Bit, NumberOfFrames=3))
    assert "frames" in text or "damaged" in text


def test_cut_pixels_are_counted() -> None:
    refused(dicom(FOUR)[:-4], "cut")


def test_too_large_frames_are_refused_before_decoding() -> None:
    refused(dicom(FOUR, Rows=60000, Columns=60000), "megapixels")
    refused(dicom(FOUR, Rows=5000, Columns=5000, NumberOfFrames=4000), "split")
    refused(dicom(FOUR, Rows=60000, Columns=1), "strip")


@pytest.mark.usefixtures("in_this_process")
def test_deflated_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.scans.limits.MAX_INFLATED_BYTES", 2**20)
    bomb = dicom(np.zeros((2048, 2048), np.uint16), uid.DeflatedExplicitVRLittleEndian)
    assert len(bomb) < 2**16
    refused(bomb, "inflates to more than 1 MB")


@pytest.mark.parametrize(
    "sop_class,word",
    [(uid.EncapsulatedPDFStorage, "Encapsulated PDF"), (uid.BasicTextSRStorage, "SR"),
     (uid.RTStructureSetStorage, "RT Structure Set"), (uid.TwelveLeadECGWaveformStorage, "ECG"),
     (uid.GrayscaleSoftcopyPresentationStateStorage, "Presentation State")],
)  # fmt: skip
def test_objects_without_image_are_refused_by_name(sop_class: uid.UID, word: str) -> None:
    ds = dataset(FOUR, PixelData=None)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    refused(saved(ds), word, "without an image")


def test_dicomdir_is_refused() -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    text = outcome(folder / "DICOMDIR")
    assert isinstance(text, str) and "DICOMDIR" in text and "index" in text
