"""DICOM rules, each on a file made here, against values worked out by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders import dataset, dicom, picture, ramp, saved
from outcomes import outcome
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from core.scans import ScanError, Window, load_scan

pytestmark = pytest.mark.filterwarnings("ignore")

FOUR = np.array([[0, 100], [200, 300]], np.uint16)


def refused(data: bytes, *words: str) -> str:
    text = outcome(data, "file.dcm")
    assert isinstance(text, str), text
    for word in words:
        assert word in text, text
    return text


def test_window_of_the_file_is_the_default() -> None:
    scan = load_scan(dicom(FOUR, WindowCenter=150.5, WindowWidth=301, WindowCenterWidthExplanation="NORMAL"))
    # From 0 to 300 over 300.
    np.testing.assert_allclose(scan.frame(), [[0, 1 / 3], [2 / 3, 1]], atol=1e-7)
    assert scan.windows[0] == Window(150.5, 301, "NORMAL")
    assert [window.name for window in scan.windows] == ["NORMAL", "Full range", "Robust range"]


def test_every_window_of_the_file_is_a_preset() -> None:
    scan = load_scan(dicom(FOUR, WindowCenter=[10, 20], WindowWidth=[5, 8], WindowCenterWidthExplanation=["A", "B"]))
    assert scan.windows[:2] == (Window(10, 5, "A"), Window(20, 8, "B"))


def test_forbidden_window_is_left_out_with_a_note() -> None:
    scan = load_scan(dicom(FOUR, WindowCenter=10, WindowWidth=0))
    assert scan.windows[0].name == "Robust range"
    assert any("not allowed" in note for note in scan.notes)


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_voi_function_of_the_file(function: str) -> None:
    scan = load_scan(dicom(FOUR, WindowCenter=150, WindowWidth=300, VOILUTFunction=function))
    assert scan.windows[0].function == function
    middle = [[0, 1 / 3], [2 / 3, 1]] if function == "LINEAR_EXACT" else 1 / (1 + np.exp(-4 * (FOUR - 150.0) / 300))
    np.testing.assert_allclose(scan.frame(), middle, atol=1e-6)


def test_rescale_keeps_whole_numbers_compact() -> None:
    scan = load_scan(dicom(FOUR, RescaleSlope=2, RescaleIntercept=-100))
    np.testing.assert_array_equal(scan.values[0], [[-100, 100], [300, 500]])
    assert scan.values.dtype == np.int16


def test_fractional_rescale_is_float32() -> None:
    scan = load_scan(dicom(FOUR, RescaleSlope="0.5", RescaleIntercept="0.25"))
    np.testing.assert_allclose(scan.values[0], [[0.25, 50.25], [100.25, 150.25]])
    assert scan.values.dtype == np.float32


def test_rescale_of_zero_is_ignored_with_a_note() -> None:
    scan = load_scan(dicom(FOUR, RescaleSlope=0, RescaleIntercept=0))
    np.testing.assert_array_equal(scan.values[0], FOUR)
    assert any("slope" in note for note in scan.notes)


def test_slope_without_intercept() -> None:
    np.testing.assert_array_equal(load_scan(dicom(FOUR, RescaleSlope=3)).values[0], FOUR * 3)


def test_dose_grid_scaling_is_a_slope() -> None:
    np.testing.assert_allclose(load_scan(dicom(FOUR, DoseGridScaling="0.1")).values[0], FOUR * 0.1, rtol=1e-6)


def test_monochrome1_is_inverted_after_the_window() -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 150.5, "WindowWidth": 301}
    scan = load_scan(dicom(FOUR, **tags))
    assert scan.inverted
    np.testing.assert_allclose(scan.frame(), [[1, 2 / 3], [1 / 3, 0]], atol=1e-6)
    np.testing.assert_array_equal(scan.values[0], FOUR)


def test_signed_pixels() -> None:
    stored = np.array([[-300, -1], [0, 300]], np.int16)
    scan = load_scan(dicom(stored, WindowCenter=0.5, WindowWidth=601))
    np.testing.assert_array_equal(scan.values[0], stored)
    np.testing.assert_allclose(scan.frame(), [[0, 299 / 600], [0.5, 1]], atol=1e-6)


def test_signed_12_of_16_bits() -> None:
    # -5 in 12 bits is 0xFFB; the upper four bits are rubbish.
    stored = np.array([[0xAFFB, 0x0005]], np.uint16)
    scan = load_scan(dicom(stored, BitsStored=12, HighBit=11, PixelRepresentation=1))
    np.testing.assert_array_equal(scan.values[0], [[-5, 5]])


def test_big_endian_reads_the_same() -> None:
    tags = {"WindowCenter": 100, "WindowWidth": 200}
    little, big = dicom(FOUR, **tags), dicom(FOUR, uid.ExplicitVRBigEndian, **tags)
    np.testing.assert_array_equal(load_scan(little).frame(), load_scan(big).frame())


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian])
def test_other_uncompressed_syntaxes(syntax: uid.UID) -> None:
    np.testing.assert_array_equal(load_scan(dicom(FOUR, syntax)).values[0], FOUR)


def test_eight_bits_without_window_are_shown_as_they_are() -> None:
    scan = load_scan(dicom(np.array([[0, 51], [102, 255]], np.uint8)))
    np.testing.assert_allclose(scan.frame(), [[0, 0.2], [0.4, 1]], atol=1e-7)


def _lut(first: int, entries: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_modality_table_comes_before_the_voi_table() -> None:
    stored = np.array([[0, 1], [2, 3]], np.uint16)
    tags = {
        "ModalityLUTSequence": Sequence([_lut(0, [30, 20, 10, 0], 8)]),
        "VOILUTSequence": Sequence([_lut(10, [0, 51, 255] + [255] * 18, 8)]),
    }
    scan = load_scan(dicom(stored, **tags))
    np.testing.assert_array_equal(scan.values[0], [[30, 20], [10, 0]])
    np.testing.assert_allclose(scan.frame(), [[1, 1], [0, 0]])
    np.testing.assert_allclose(scan.frame(window=Window(15.5, 31, "mine")), [[1, 2 / 3], [1 / 3, 0]], atol=1e-6)


def test_voi_table_goes_before_the_window_of_the_file() -> None:
    stored = np.array([[0, 1]], np.uint16)
    tags = {"VOILUTSequence": Sequence([_lut(0, [51, 102], 8)]), "WindowCenter": 0, "WindowWidth": 1}
    np.testing.assert_allclose(load_scan(dicom(stored, **tags)).frame(), [[0.2, 0.4]], atol=1e-7)


def test_palette_colour() -> None:
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, entries in (("Red", [0, 255, 10]), ("Green", [1, 254, 20]), ("Blue", [2, 253, 30])):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [3, 1, 8]
        tags[f"{colour}PaletteColorLookupTableData"] = np.array(entries, "<u2").tobytes()
    scan = load_scan(dicom(np.array([[0, 1], [2, 9]], np.uint8), **tags))
    np.testing.assert_array_equal(scan.values[0], [[[0, 1, 2], [0, 1, 2]], [[255, 254, 253], [10, 20, 30]]])
    assert scan.is_colour and scan.windows == () and scan.frame().shape == (2, 2, 3)


def test_planar_rgb_and_a_window_that_colour_ignores() -> None:
    colour = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    ds = dataset(colour, PlanarConfiguration=1)
    ds.PixelData = np.moveaxis(colour, -1, 0).tobytes()
    scan = load_scan(saved(ds))
    np.testing.assert_array_equal(scan.values[0], colour)
    np.testing.assert_array_equal(scan.frame(window=Window(0, 1, "")), scan.frame())


def test_ybr_becomes_rgb() -> None:
    # Y = 76, Cb = 85, Cr = 255 is pure red (PS3.3 C.7.6.3.1.2).
    stored = np.tile(np.array([76, 85, 255], np.uint8), (2, 2, 1))
    stored[0, 0] = (0, 128, 128)
    scan = load_scan(dicom(stored, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(scan.values[0, 1, 1].astype(int) - [254, 0, 0]).max() <= 1
    np.testing.assert_array_equal(scan.values[0, 0, 0], [0, 0, 0])


def test_colour_of_twelve_bits_fills_its_type() -> None:
    colour = np.array([[[0, 4095, 1]]], np.uint16)
    scan = load_scan(dicom(colour, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(scan.values[0], [[[0, 65535, 16]]])


def test_grey_in_three_channels_is_grey() -> None:
    grey = ramp(4, 4, np.uint8, 3)
    scan = load_scan(dicom(np.stack([grey] * 3, axis=-1)))
    assert not scan.is_colour
    np.testing.assert_allclose(scan.frame(), grey / 255, atol=1e-7)


def test_padding_does_not_move_the_robust_range() -> None:
    stored = np.tile(np.arange(100, 200, dtype=np.int16), (4, 1))
    padded = np.concatenate([stored, np.full((40, 100), -2000, np.int16)])
    scan = load_scan(dicom(padded, PixelPaddingValue=-2000))
    low = scan.windows[0].center - scan.windows[0].width / 2
    assert 99 < low < 102


def test_float_pixels() -> None:
    ds = dataset(np.zeros((2, 2), np.uint16))
    del ds.PixelData
    ds.BitsAllocated = 32
    ds.FloatPixelData = np.array([0, 0.5, np.nan, 2], "<f4").tobytes()
    scan = load_scan(saved(ds))
    np.testing.assert_array_equal(scan.values[0], [[0, 0.5], [0, 2]])
    assert any("no numbers" in note for note in scan.notes)


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
