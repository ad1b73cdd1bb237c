"""The grey values of DICOM files and their windows, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from builders import FOUR, dataset, dicom, ramp, saved, zipped
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.scans import Scan, Window, load_scan

pytestmark = pytest.mark.filterwarnings("ignore")


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


def test_ct_presets() -> None:
    names = [window.name for window in load_scan(dicom(FOUR, Modality="CT")).windows]
    assert names[-4:] == ["Brain", "Lung", "Bone", "Soft tissue"]


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


def ignored(scan: Scan, *words: str) -> None:
    assert scan.voi_lut is None
    assert any(all(word in note for word in words) and "ignored" in note for note in scan.notes), scan.notes


VALUES = ramp(16, 16)  # 0 to 1785


@pytest.mark.parametrize("item", [Dataset(), _lut(0, [], 8), _lut(0, [1, 2], 40)])
def test_a_damaged_table_is_ignored(item: Dataset) -> None:
    for sequence, name in (("ModalityLUTSequence", "Modality LUT"), ("VOILUTSequence", "VOI LUT")):
        scan = load_scan(dicom(VALUES, **{sequence: Sequence([item])}))
        np.testing.assert_array_equal(scan.values[0], VALUES)
        ignored(scan, name, "damaged")
    assert load_scan(dicom(VALUES, VOILUTSequence=Sequence([]))).notes


def test_a_table_with_fewer_entries_than_it_states_is_ignored() -> None:
    short = _lut(0, list(range(0, 4096, 16)), 12)
    short.LUTDescriptor = [1786, 0, 12]
    ignored(load_scan(dicom(VALUES, VOILUTSequence=Sequence([short]))), "damaged")


@pytest.mark.parametrize("entries, bits", [(range(0, 256), 16), (range(0, 4080, 16), 16), (range(256), 12)])
def test_a_table_of_fewer_bits_than_it_states_is_ignored(entries: range, bits: int) -> None:
    table = _lut(0, [entry for entry in entries for _ in range(7)], bits)
    scan = load_scan(dicom(VALUES, VOILUTSequence=Sequence([table])))
    ignored(scan, "VOI LUT", "shows nothing")
    assert scan.frame().max() == 1


def test_a_table_beside_all_values_is_ignored() -> None:
    scan = load_scan(dicom(VALUES, VOILUTSequence=Sequence([_lut(5000, [0, 128, 255], 8)])))
    ignored(scan, "shows nothing")


@pytest.mark.parametrize("center", [-4000, 9000])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_beside_all_values_is_ignored(center: float, function: str) -> None:
    scan = load_scan(dicom(VALUES, WindowCenter=center, WindowWidth=500, VOILUTFunction=function))
    ignored(scan, "window")
    assert scan.windows[0].name == "Robust range" and scan.frame().min() == 0 and scan.frame().max() == 1


def test_the_next_window_stands_in_for_one_beside_all_values() -> None:
    scan = load_scan(dicom(VALUES, WindowCenter=[9000, 900], WindowWidth=[10, 1800]))
    assert [window.center for window in scan.windows[:1]] == [900]


def test_windows_of_single_slices_beside_all_values_are_ignored() -> None:
    files = {
        str(number): dicom(VALUES, WindowCenter=center, WindowWidth=1000, InstanceNumber=number)
        for number, center in enumerate((900, 9000))
    }  # fmt: skip
    scan = load_scan(zipped(files))
    assert scan.frame(0).max() == 1 and scan.frame(1).min() == 0 and scan.frame(1).max() == 1


def test_an_image_of_one_value_keeps_its_window() -> None:
    assert load_scan(dicom(np.full((4, 4), 900, np.uint16), WindowCenter=40, WindowWidth=80)).windows[0].center == 40


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
