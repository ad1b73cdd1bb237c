"""Colour in DICOM files, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from builders import dataset, dicom, ramp, saved

from core.scans import Window, load_scan

pytestmark = pytest.mark.filterwarnings("ignore")


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
