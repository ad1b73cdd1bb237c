"""Frames of DICOM files: where they lie in space, and how they were acquired."""

from __future__ import annotations

import numpy as np
import pytest
from builders import FOUR, dataset, dicom, saved, zipped
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from core.scans import ScanError, list_series, load_scan
from core.scans.derived import derived_dicom
from core.scans.dicom.acquisition import sequence_of
from core.scans.preparation import prepare

pytestmark = pytest.mark.filterwarnings("ignore")

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
TILTED = [1, 0, 0, 0, 0.94, -0.34]  # by 20°
BETWEEN = [1, 0, 0, 0, 0.707, -0.707]


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
    backwards = load_scan(dicom(np.stack([FOUR] * 2), PixelSpacing=[2, 3], SpacingBetweenSlices=-4.42))
    assert backwards.spacing == (4.42, 2, 3) and not any("not stated" in note for note in backwards.notes)
    assert load_scan(dicom(FOUR, ImagerPixelSpacing=[2, 3])).spacing == (1, 2, 3)
    assert load_scan(dicom(FOUR, PixelSpacing=[0, 3])).spacing is None


def test_spacing_that_cannot_be_right_is_unknown() -> None:
    assert load_scan(dicom(FOUR, PixelSpacing=[1, 20])).spacing == (1, 1, 20)
    scan = load_scan(dicom(FOUR, PixelSpacing=[1, 21]))
    assert scan.spacing is None and any("taken as unknown" in note for note in scan.notes)


@pytest.mark.parametrize(
    "tags, high",
    [({"PixelAspectRatio": [3, 1]}, 3), ({"PixelAspectRatio": [2, 4]}, 0.5),
     ({"NominalScannedPixelSpacing": [0.3, 0.1]}, 3), ({"PixelAspectRatio": [0, 0], "PixelSpacing": [1, 90]}, None),
     ({"PixelAspectRatio": [5, 5]}, None), ({"PixelAspectRatio": [1, 90]}, None)],
)  # fmt: skip
def test_the_shape_of_a_pixel_makes_it_square_and_nothing_is_measured(tags: dict, high: float | None) -> None:
    scan = load_scan(dicom(np.full((20, 60), 7, np.uint16), WindowCenter=1, WindowWidth=2, **tags))
    assert scan.millimetres is None and scan.spacing == (high and pytest.approx((1, high, 1)))
    assert any("nothing is measured" in note for note in scan.notes) == (high is not None)
    seen = prepare(scan.frame(), 60, 1, scan.spacing)[0, 0].numpy().any(axis=1)
    assert seen.sum() == 20 * (high or 1)
    assert list_series(dicom(FOUR, **tags))[0].spacing is None


def test_a_size_goes_before_a_shape() -> None:
    scan = load_scan(dicom(FOUR, PixelSpacing=[2, 3], PixelAspectRatio=[4, 1]))
    assert scan.millimetres == scan.spacing == (1, 2, 3)
    source = load_scan(dicom(FOUR, PixelAspectRatio=[4, 1]))
    held = load_scan(derived_dicom(np.zeros((8, 8)), kind="attacked", description="x", source=source, prepared=True))
    assert held.spacing is None


@pytest.mark.parametrize(
    "axes, plane, letters",
    [(AXIAL, "axial", "SPL"), (TILTED, "axial", "SPL"), (CORONAL, "coronal", "PIL"), (SAGITTAL, "sagittal", "RIP"),
     ([-1, 0, 0, 0, 1, 0], "axial", "IPR"), ([0] * 6, None, None), ([1, 0, 0], None, None), (None, None, None)],
)  # fmt: skip
def test_how_a_slice_lies_in_the_patient(axes: list[float] | None, plane: str | None, letters: str | None) -> None:
    tags = {} if axes is None else {"ImageOrientationPatient": axes}
    scan = load_scan(dicom(FOUR, **tags))
    assert (scan.plane, scan.axes) == (plane, letters)


def test_an_oblique_slice_has_its_plane() -> None:
    assert load_scan(dicom(FOUR, ImageOrientationPatient=BETWEEN)).plane == "oblique"


def _enhanced(*orientations: list[float], **shared: object) -> bytes:
    frames = [_item(PlaneOrientationSequence=Sequence([_item(ImageOrientationPatient=axes)])) for axes in orientations]
    return dicom(
        np.stack([FOUR] * len(frames)),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
        SharedFunctionalGroupsSequence=Sequence([_item(**shared)]),
    )


def test_plane_of_an_enhanced_image_is_that_of_all_its_frames() -> None:
    assert load_scan(_enhanced(CORONAL, CORONAL)).plane == "coronal"
    mixed = load_scan(_enhanced(CORONAL, SAGITTAL))
    assert mixed.plane is None and mixed.axes is None


def test_a_localizer_of_three_planes_has_none() -> None:
    files = {
        f"{index}.dcm": saved(dataset(FOUR, SeriesInstanceUID="1.2.3", ImageOrientationPatient=axes))
        for index, axes in enumerate((AXIAL, CORONAL, SAGITTAL))
    }
    assert load_scan(zipped(files), "localizer.zip").plane is None


@pytest.mark.parametrize(
    "tags, sequence",
    [
        ({"ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 12}, "T1"),
        ({"ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 12, "ContrastBolusAgent": "Gd"},
         "T1 with contrast"),
        ({"ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 12, "ContrastBolusAgent": "None"}, "T1"),
        ({"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 100}, "T2"),
        ({"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 100, "ContrastBolusAgent": "Gd"}, "T2"),
        ({"ScanningSequence": "SE", "RepetitionTime": 3000, "EchoTime": 15}, "proton density"),
        ({"ScanningSequence": ["SE", "IR"], "RepetitionTime": 9000, "EchoTime": 120, "InversionTime": 2500}, "FLAIR"),
        ({"ScanningSequence": ["SE", "IR"], "RepetitionTime": 5000, "EchoTime": 60, "InversionTime": 160}, "STIR"),
        ({"ScanningSequence": ["GR", "IR"], "RepetitionTime": 2300, "EchoTime": 3, "InversionTime": 900}, "T1"),
        ({"ScanningSequence": "GR", "RepetitionTime": 600, "EchoTime": 20}, "T2*"),
        ({"ScanningSequence": ["EP", "SE"], "RepetitionTime": 5000, "EchoTime": 90}, "echo planar"),
        ({"ScanningSequence": ["EP", "SE"], "RepetitionTime": 5000, "EchoTime": 90, "DiffusionBValue": 1000.0},
         "diffusion"),
        ({"SequenceName": "*ep_b1000#1", "RepetitionTime": 5000, "EchoTime": 90}, "diffusion"),
        ({"AngioFlag": "Y", "ScanningSequence": "GR", "RepetitionTime": 25, "EchoTime": 5}, "angiography"),
        ({"ScanningSequence": "SE", "RepetitionTime": 1400, "EchoTime": 50}, None),
        ({"ScanningSequence": "SE", "RepetitionTime": 500}, None),
        ({"ScanningSequence": "RM", "RepetitionTime": 500, "EchoTime": 10}, None),
        ({"Modality": "CT", "ScanningSequence": "SE", "RepetitionTime": 500, "EchoTime": 12}, None),
        ({"SeriesDescription": "FLAIR"}, None),
    ],
)  # fmt: skip
def test_sequence_of_a_slice(tags: dict, sequence: str | None) -> None:
    assert load_scan(dicom(FOUR, **tags)).sequence == sequence


@pytest.mark.parametrize(
    "tag, kind, value",
    [(0x00180024, "UL", b"abc "), (0x00180020, "FD", b"abc "), (0x00180010, "SQ", b"abcd"), (0x00180080, "DS", b"abc "),
     (0x00189117, "LO", b"no sequence "), (0x00189117, "XX", b"abcd"), (0x00189226, "SQ", b"abcdef")],
)  # fmt: skip
def test_a_damaged_tag_costs_no_more_than_what_it_says(tag: int, kind: str, value: bytes) -> None:
    damaged = dataset(FOUR, ScanningSequence="SE", RepetitionTime=500, EchoTime=12)
    damaged[tag] = RawDataElement(Tag(tag), kind, len(value), value, 0, False, True)
    assert sequence_of(damaged) in ("T1", None)


def _restated(data: bytes, tag: bytes, kind: bytes) -> bytes:
    """The file with another value representation for one element: pydicom can't parse its value as that."""
    where = data.index(tag) + 4
    return data[:where] + kind + data[where + 2 :]


@pytest.mark.parametrize("kind", [b"FD", b"XX"])
def test_a_file_opens_without_what_a_damaged_tag_says(kind: bytes) -> None:
    tags = {"SequenceName": "abcd", "PixelSpacing": [2, 3], "SoftwareVersions": "abcd", "PatientName": "Ann"}
    data = dicom(FOUR, ScanningSequence="SE", RepetitionTime=500, EchoTime=12, **tags)
    for tag in (b"\x18\x00\x24\x00", b"\x28\x00\x30\x00", b"\x18\x00\x20\x10", b"\x10\x00\x10\x00"):
        np.testing.assert_array_equal(load_scan(_restated(data, tag, kind)).values[0], FOUR)


def test_a_damaged_tag_that_no_scan_can_do_without_is_named() -> None:
    data = dicom(FOUR, SeriesInstanceUID="1.2.3")
    for tag, keyword in ((b"\x28\x00\x10\x00", "Rows"), (b"\x20\x00\x0e\x00", "SeriesInstanceUID")):
        with pytest.raises(ScanError, match=f"damaged DICOM attribute {keyword}:"):
            load_scan(_restated(data, tag, b"FD"))


def test_sequence_of_an_enhanced_image() -> None:
    stated = Sequence([_item(AcquisitionContrast="FLUID_ATTENUATED")])
    assert load_scan(_enhanced(AXIAL, MRImageFrameTypeSequence=stated)).sequence == "FLAIR"
    timing = {
        "MRTimingAndRelatedParametersSequence": Sequence([_item(RepetitionTime=5000)]),
        "MREchoSequence": Sequence([_item(EffectiveEchoTime=90.0)]),
    }
    assert load_scan(_enhanced(AXIAL, **timing)).sequence is None  # neither spin nor gradient echo


def test_the_agent_is_never_shown() -> None:
    scan = load_scan(dicom(FOUR, ScanningSequence="SE", RepetitionTime=500, EchoTime=12, ContrastBolusAgent="Smith"))
    assert scan.sequence == "T1 with contrast" and "Smith" not in repr(scan)
