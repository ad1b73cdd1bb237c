"""DICOM rules, each on a file made here, against values worked out by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders import FOUR, dataset, dicom, picture, ramp, saved
from outcomes import outcome
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from core.scans import ScanError, load_scan

pytestmark = pytest.mark.filterwarnings("ignore")


def refused(data: bytes, *words: str) -> str:
    text = outcome(data, "file.dcm")
    assert isinstance(text, str), text
    for word in words:
        assert word in text, text
    return text


@pytest.mark.parametrize("keyword", ["SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"])
def test_attributes_that_have_an_obvious_value_may_be_missing(keyword: str) -> None:
    np.testing.assert_array_equal(load_scan(dicom(FOUR, **{keyword: None})).values[0], FOUR)


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_attributes_that_pixels_need(keyword: str) -> None:
    refused(dicom(FOUR, **{keyword: None}), keyword)


def test_frames() -> None:
    stack = np.stack([FOUR, FOUR + 1, FOUR + 2])
    scan = load_scan(dicom(stack))
    assert (scan.frame_count, scan.default_frame) == (3, 1)
    np.testing.assert_array_equal(scan.values, stack)
    np.testing.assert_array_equal(scan.frame(), scan.frame(1))


@pytest.mark.parametrize("index", [-1, 3, 1.0, "1", True])
def test_bad_frame_index(index: object) -> None:
    with pytest.raises(ScanError):
        load_scan(dicom(np.stack([FOUR] * 3))).frame(index)  # type: ignore[arg-type]


def test_values_are_read_only() -> None:
    with pytest.raises(ValueError):
        load_scan(dicom(FOUR)).values[0, 0, 0] = 1


def _item(**tags: object) -> Dataset:
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item


def _per_frame(index: int) -> Dataset:
    return _item(
        PixelValueTransformationSequence=Sequence([_item(RescaleSlope=index + 1, RescaleIntercept=index)]),
        FrameVOILUTSequence=Sequence([_item(WindowCenter=50 * (index + 1), WindowWidth=100 * (index + 1))]),
        PlanePositionSequence=Sequence([_item(ImagePositionPatient=[0, 0, -4.0 * index])]),
    )


def test_enhanced_multi_frame() -> None:
    shared = _item(
        PixelMeasuresSequence=Sequence([_item(PixelSpacing=[0.5, 0.25], SliceThickness=9)]),
        PlaneOrientationSequence=Sequence([_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
    )
    tags = {
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence([_per_frame(index) for index in range(3)]),
    }
    scan = load_scan(dicom(np.stack([FOUR] * 3), **tags))
    # Positions fall, so frames come in reverse order: slope 3 first.
    np.testing.assert_array_equal(scan.values, [FOUR * 3 + 2, FOUR * 2 + 1, FOUR])
    assert scan.spacing == (4.0, 0.5, 0.25)
    assert scan.frame_windows is not None
    assert [window.center for window in scan.frame_windows] == [150, 100, 50]
    # 100 in a window of 100 around 50: beyond its end.
    assert scan.frame(2)[0, 1] == 1


def test_spacing() -> None:
    assert load_scan(dicom(FOUR)).spacing is None
    assert load_scan(dicom(FOUR, PixelSpacing=[2, 3], SliceThickness=5)).spacing == (5, 2, 3)
    assert load_scan(dicom(FOUR, PixelSpacing=[2, 3], SliceThickness=5, SpacingBetweenSlices=6)).spacing == (6, 2, 3)
    assert load_scan(dicom(FOUR, ImagerPixelSpacing=[2, 3])).spacing == (1, 2, 3)
    assert load_scan(dicom(FOUR, PixelSpacing=[0, 3])).spacing is None


def test_spacing_that_cannot_be_right_is_unknown() -> None:
    assert load_scan(dicom(FOUR, PixelSpacing=[1, 20])).spacing == (1, 1, 20)
    scan = load_scan(dicom(FOUR, PixelSpacing=[1, 21]))
    assert scan.spacing is None and any("taken as unknown" in note for note in scan.notes)


def test_ct_presets() -> None:
    names = [window.name for window in load_scan(dicom(FOUR, Modality="CT")).windows]
    assert names[-4:] == ["Brain", "Lung", "Bone", "Soft tissue"]


def test_no_identifying_tag_is_shown() -> None:
    secret = "Zebedee"
    tags = {
        keyword: secret
        for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDescription", "SeriesDescription",
                        "ImageComments", "ProtocolName", "StationName", "OperatorsName", "PatientComments")
    }  # fmt: skip
    tags |= {"StudyDate": "20200102", "BodyPartExamined": "BRAIN", "EchoTime": "12.50"}
    tags |= {"ImageType": ["ORIGINAL", "Zebedee"], "ManufacturerModelName": "ZEBEDEE 3000"}
    scan = load_scan(dicom(FOUR, **tags))
    shown = f"{scan.tags}{scan.notes}{scan.windows}"
    assert secret.lower() not in shown.lower() and "20200102" not in shown
    assert scan.tags["Body part"] == "BRAIN" and scan.tags["Echo time"] == "12.5 ms"
    assert scan.tags["Transfer syntax"] == "Explicit VR Little Endian"


@pytest.mark.parametrize("stated,word", [("NO", None), ("YES", "is burned"), (None, "does not say")])
def test_burned_in_text(stated: str | None, word: str | None) -> None:
    notes = " ".join(load_scan(dicom(FOUR, BurnedInAnnotation=stated)).notes)
    assert (word in notes) if word else ("burned" not in notes)


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


def test_twelve_bit_jpeg_is_refused_by_name() -> None:
    data = _encapsulated(b"\0" * 8, uid.JPEGExtended12Bit, BitsAllocated=16, BitsStored=12, HighBit=11)
    refused(data, "JPEG Extended", "12-bit", "no free decoder")


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
