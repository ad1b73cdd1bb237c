"""What was written is what is read back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders import dicom, picture, ramp

from core.scans import ScanError, derived_dicom, load_scan, write_derived_dicom, write_derived_png

EVERY = (np.arange(65536, dtype=np.float64) / 65535).reshape(256, 256)


@pytest.mark.parametrize("kind", ["synthetic", "attacked", "purified"])
def test_every_value_of_sixteen_bits_comes_back(tmp_path: Path, kind: str) -> None:
    path = write_derived_dicom(tmp_path / "a.dcm", EVERY, kind=kind, description="All values.")
    scan = load_scan(path)
    np.testing.assert_array_equal(scan.frame(), EVERY.astype(np.float32))
    assert (scan.derived, scan.exact, scan.modality) == (kind, True, "MR")
    assert bool(scan.notes) == (kind != "synthetic"), "nobody says whether text is in other pixels"


def test_random_pixels_come_back_within_half_a_step(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((128, 96), dtype=np.float32)
    scan = load_scan(write_derived_dicom(tmp_path / "a.dcm", pixels, kind="attacked", description="Noise."))
    np.testing.assert_array_equal(scan.frame(), (np.rint(pixels.astype(np.float64) * 65535) / 65535).astype(np.float32))
    assert np.abs(scan.frame() - pixels).max() <= 1 / 65535


def test_colour_of_sixteen_bits(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).random((32, 16, 3))
    path = write_derived_dicom(tmp_path / "a.dcm", pixels, kind="purified", description="Colour.", modality="SM")
    scan = load_scan(path)
    assert scan.frame().shape == (32, 16, 3) and scan.exact and scan.modality == "SM"
    np.testing.assert_allclose(scan.frame(), pixels, atol=0.51 / 65535)


def test_colour_of_equal_channels_stays_colour(tmp_path: Path) -> None:
    pixels = np.stack([EVERY] * 3, axis=-1)
    scan = load_scan(write_derived_dicom(tmp_path / "a.dcm", pixels, kind="attacked", description="Grey."))
    np.testing.assert_array_equal(scan.frame(), pixels.astype(np.float32))
    assert load_scan(write_derived_png(tmp_path / "a.png", pixels)).is_colour


def test_written_twice_is_the_same(tmp_path: Path) -> None:
    first = load_scan(write_derived_dicom(tmp_path / "a.dcm", EVERY**2, kind="attacked", description="x"))
    again = write_derived_dicom(tmp_path / "b.dcm", first.frame(), kind="purified", description="x", source=first)
    second = load_scan(again)
    np.testing.assert_array_equal(first.values, second.values)
    assert first.sha256 != second.sha256


def test_file_says_what_it_is(tmp_path: Path) -> None:
    source = load_scan(dicom(ramp(), Modality="CT", PixelSpacing=[0.5, 0.75], PatientName="Doe^Jane"))
    path = write_derived_dicom(
        tmp_path / "a.dcm",
        source.frame(),
        kind="purified",
        description="One step.",
        source=source,
        extra={"BodyPartExamined": "BRAIN"},
    )
    ds = pydicom.dcmread(path)
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "OTHER", "PURIFIED"]
    assert (ds.Modality, ds.DerivationDescription, ds.BodyPartExamined) == ("CT", "One step.", "BRAIN")
    assert ds.PatientName == "SYNTHETIC^PURESCAN"
    assert list(ds.PixelSpacing) == [0.5, 0.75]
    assert "Doe" not in str(ds)
    other = pydicom.dcmread(write_derived_dicom(tmp_path / "b.dcm", EVERY, kind="attacked", description=""))
    assert other.SOPInstanceUID != ds.SOPInstanceUID


@pytest.mark.parametrize("stated", ["YES", "NO", ""])
def test_a_copy_says_of_text_in_its_pixels_what_the_scan_says(stated: str) -> None:
    source = load_scan(dicom(ramp(), BurnedInAnnotation=stated))
    copy = derived_dicom(source.frame(), kind="attacked", description="x", source=source)
    ds = pydicom.dcmread(io.BytesIO(copy))
    assert ds.get("BurnedInAnnotation", "") == stated
    assert ds.get("PatientIdentityRemoved") == ("YES" if stated == "NO" else None)
    told = [[note for note in scan.notes if "burned" in note] for scan in (source, load_scan(copy))]
    assert told[0] == told[1] and bool(told[0]) == (stated != "NO")


def test_what_was_drawn_holds_no_patient() -> None:
    ds = pydicom.dcmread(io.BytesIO(derived_dicom(EVERY, kind="synthetic", description="x")))
    assert (ds.BurnedInAnnotation, ds.PatientIdentityRemoved) == ("NO", "YES")


def test_every_attribute_fits_its_representation(tmp_path: Path) -> None:
    path = write_derived_dicom(tmp_path / "a.dcm", EVERY, kind="synthetic", description="é" * 3000)
    with pydicom.config.strict_reading():
        ds = pydicom.dcmread(path)
        assert len([element.value for element in ds.iterall()]) > 30
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID",
                    "AccessionNumber", "PatientOrientation", "SeriesNumber", "InstanceNumber", "ConversionType",
                    "StudyInstanceUID", "SeriesInstanceUID"):  # fmt: skip
        assert keyword in ds


@pytest.mark.parametrize("pixels", [np.zeros(4), np.zeros((2, 2, 4)), np.full((2, 2), 1.1), np.full((2, 2), np.nan),
                                    np.full((2, 2), -0.1), np.zeros((0, 2))])  # fmt: skip
def test_bad_pixels(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError):
        write_derived_dicom(tmp_path / "a.dcm", pixels, kind="attacked", description="")
    with pytest.raises(ValueError):
        write_derived_png(tmp_path / "a.png", pixels)


def test_bad_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_derived_dicom(tmp_path / "a.dcm", EVERY, kind="restored", description="")
    with pytest.raises(ValueError):
        write_derived_png(tmp_path / "a.png", EVERY, kind="restored")
    for extra in ({"WindowCenter": 1}, {"NoSuchThing": 1}):
        with pytest.raises(ValueError):
            write_derived_dicom(tmp_path / "a.dcm", EVERY, kind="attacked", description="", extra=extra)


def test_png(tmp_path: Path) -> None:
    scan = load_scan(write_derived_png(tmp_path / "a.png", EVERY, kind="attacked"))
    np.testing.assert_array_equal(scan.frame(), EVERY.astype(np.float32))
    assert (scan.derived, scan.exact) == ("attacked", True)
    dark = load_scan(write_derived_png(tmp_path / "b.png", EVERY / 100))
    np.testing.assert_allclose(dark.frame(), EVERY / 100, atol=0.51 / 65535)


def test_colour_png_is_derived_but_not_exact(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).random((8, 8, 3))
    scan = load_scan(write_derived_png(tmp_path / "a.png", pixels))
    assert (scan.derived, scan.exact) == ("purified", False)
    np.testing.assert_allclose(scan.frame(), pixels, atol=0.51 / 255)


def test_files_of_others_are_not_ours() -> None:
    tags = {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "PURIFIED"]}
    assert load_scan(dicom(ramp(), **tags)).derived is None
    assert load_scan(picture(ramp(4, 4, np.uint16, 4000))).derived is None


def test_frame_beyond_the_end(tmp_path: Path) -> None:
    scan = load_scan(write_derived_png(tmp_path / "a.png", EVERY))
    with pytest.raises(ScanError, match="from 0 to 0"):
        scan.frame(1)


def test_an_exact_file_is_taken_as_square_whatever_it_says() -> None:
    source = load_scan(dicom(np.zeros((8, 8), np.uint16), PixelSpacing=[1, 2]))
    old = derived_dicom(np.zeros((8, 8)), kind="attacked", description="x", source=source)
    assert load_scan(old).exact and load_scan(old).spacing is None
    new = derived_dicom(np.zeros((16, 16)), kind="attacked", description="x", source=source, prepared=True)
    assert load_scan(new).spacing[1:] == (1.0, 1.0)  # 8 columns of 2 mm are as wide as 16 pixels of 1 mm
