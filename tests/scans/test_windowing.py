"""Windows and tables against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from builders import dicom

from core.scans import Window, load_scan
from core.scans.windowing import Lut, apply_lut, apply_window, full_window, identity_window, look_up, robust_window


def test_linear_is_the_formula_of_the_standard() -> None:
    # c = 10, w = 5: the ramp runs from c - 0.5 - 2 = 7.5 to 11.5 over w - 1 = 4.
    values = np.array([7, 7.5, 8, 9.5, 11, 11.5, 12])
    shown = apply_window(values, Window(10, 5, ""))
    np.testing.assert_allclose(shown, [0, 0, 0.125, 0.5, 0.875, 1, 1])


def test_linear_of_width_one_is_a_step() -> None:
    np.testing.assert_array_equal(apply_window(np.array([9, 9.5, 10]), Window(10, 1, "")), [0, 0, 1])


def test_linear_exact() -> None:
    # c = 10, w = 4: from 8 to 12.
    shown = apply_window(np.array([7, 8, 9, 10, 12, 13]), Window(10, 4, "", "LINEAR_EXACT"))
    np.testing.assert_allclose(shown, [0, 0, 0.25, 0.5, 1, 1])


def test_sigmoid() -> None:
    # 1 / (1 + exp(-4 (x - 10) / 4)): at x = 10 ± 1, 1 / (1 + e∓1).
    shown = apply_window(np.array([9, 10, 11, 1e9, -1e9]), Window(10, 4, "", "SIGMOID"))
    np.testing.assert_allclose(shown, [0.26894142, 0.5, 0.73105858, 1, 0], atol=1e-8)


@pytest.mark.parametrize("width,function", [(0.5, "LINEAR"), (0, "LINEAR_EXACT"), (-1, "SIGMOID"), (np.nan, "LINEAR")])
def test_widths_that_the_standard_forbids(width: float, function: str) -> None:
    window = Window(0, width, "", function)
    assert not window.usable
    with pytest.raises(ValueError):
        apply_window(np.zeros(2), window)


def test_identity_windows() -> None:
    np.testing.assert_allclose(apply_window(np.array([0, 51, 255]), identity_window(8)), [0, 0.2, 1])
    np.testing.assert_allclose(apply_window(np.array([-128, 127]), identity_window(8, True)), [0, 1])
    np.testing.assert_array_equal(apply_window(np.array([0, 1]), identity_window(1)), [0, 1])


def test_table_holds_its_ends() -> None:
    lut = Lut(10, np.array([0, 5, 15], np.uint16), 4)
    np.testing.assert_array_equal(look_up(np.array([-3, 10, 11, 12, 99]), lut), [0, 0, 5, 15, 15])
    np.testing.assert_allclose(apply_lut(np.array([10, 11, 12]), lut), [0, 1 / 3, 1])


def test_ranges_leave_out_what_is_not_valid() -> None:
    values = np.array([[-2000.0, 0, 1, 2, 3, 4]])
    valid = values > -1000
    assert full_window(values, valid) == Window(2, 4, "Full range", "LINEAR_EXACT")
    assert robust_window(values, valid).center == pytest.approx(2)
    assert full_window(values).width == 2004


def test_constant_image_is_black() -> None:
    scan = load_scan(dicom(np.full((4, 4), 7, np.uint16)))
    np.testing.assert_array_equal(scan.frame(), np.zeros((4, 4), np.float32))


@pytest.mark.parametrize("low, high", [(0, 1e-43), (3e-39, 4e-39), (1e30, 1e30), (-1e35, -1e35), (5, 5)])
def test_what_is_as_good_as_constant_is_black(low: float, high: float) -> None:
    values = np.array([[[low, high]]], np.float32)
    for window in (full_window(values), robust_window(values)):
        assert window.usable
        np.testing.assert_array_equal(apply_window(values, window), np.zeros((1, 1, 2)))
