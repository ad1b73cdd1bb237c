"""Frames of DICOM files, and where they lie in space."""

from __future__ import annotations

import numpy as np
import pytest
from builders import FOUR, dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.scans import ScanError, load_scan

pytestmark = pytest.mark.filterwarnings("ignore")


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
