"""PNG, JPEG, TIFF, BMP, WebP and GIF."""

from __future__ import annotations

import io
import struct
import zlib

import jpeg_ls
import numpy as np
import pytest
import tifffile
from builders import picture, ramp
from codestreams import jpeg_12_bit
from outcomes import outcome
from PIL import Image

from core.scans import load_scan

GREY = np.array([[0, 51], [102, 255]], np.uint8)
COLOUR = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20


def tiff(values: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind,options", [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                                          ("WEBP", {"lossless": True}), ("GIF", {})])  # fmt: skip
def test_grey_of_eight_bits_is_shown_as_it_is(kind: str, options: dict[str, object]) -> None:
    scan = load_scan(picture(GREY, kind, **options))
    assert scan.kind == "raster" and not scan.is_colour and scan.modality is None
    np.testing.assert_allclose(scan.frame(), [[0, 0.2], [0.4, 1]], atol=1e-7)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_colour(kind: str) -> None:
    scan = load_scan(picture(COLOUR, kind))
    np.testing.assert_array_equal(scan.values[0], COLOUR)
    assert scan.windows == ()


def test_jpeg() -> None:
    assert load_scan(picture(ramp(16, 16, np.uint8, 1), "JPEG")).values.shape == (1, 16, 16)
    assert load_scan(picture(Image.new("CMYK", (4, 4), (0, 255, 0, 0)), "JPEG")).is_colour


def test_equal_channels_are_grey() -> None:
    np.testing.assert_array_equal(load_scan(picture(np.stack([GREY] * 3, axis=-1))).values[0], GREY)


def test_one_bit_and_palette() -> None:
    np.testing.assert_array_equal(load_scan(picture(Image.fromarray(GREY > 60))).values[0], [[0, 0], [255, 255]])
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    indexed.putpixel((1, 0), 1)
    np.testing.assert_array_equal(load_scan(picture(indexed)).values[0], [[[10, 20, 30], [40, 50, 60]]])


def test_transparency_is_black() -> None:
    values = np.dstack([np.full((1, 3), 200, np.uint8)] * 3 + [np.array([[0, 255, 51]], np.uint8)])
    np.testing.assert_array_equal(load_scan(picture(values)).values[0], [[0, 200, 40]])
    grey = Image.merge("LA", (Image.new("L", (1, 1), 200), Image.new("L", (1, 1), 51)))
    np.testing.assert_array_equal(load_scan(picture(grey)).values[0], [[40]])


def test_sixteen_bits_that_use_their_range() -> None:
    values = np.array([[0, 13107], [26214, 65535]], np.uint16)
    for data in (picture(values), picture(values, "TIFF"), tiff(values), tiff(values, byteorder=">")):
        scan = load_scan(data)
        np.testing.assert_array_equal(scan.values[0], values)
        np.testing.assert_allclose(scan.frame(), [[0, 0.2], [0.4, 1]], atol=1e-6)
        assert not scan.exact


def test_twelve_bits_in_sixteen() -> None:
    scan = load_scan(picture(np.array([[100, 2100], [4100, 100]], np.uint16)))
    np.testing.assert_allclose(scan.frame(), [[0, 0.5], [1, 0]], atol=1e-6)
    assert any("part of its range" in note for note in scan.notes)


def test_float_tiff() -> None:
    scan = load_scan(tiff(np.array([[0.25, 0.5]], np.float32)))
    np.testing.assert_allclose(scan.frame(), [[0.25, 0.5]])
    wide = load_scan(tiff(np.array([[-2, np.nan, 2]], np.float64)))
    np.testing.assert_allclose(wide.frame(), [[0, 0.5, 1]])


def test_deep_colour_tiff() -> None:
    colour = (np.arange(27).reshape(3, 3, 3) * 2000).astype(np.uint16)
    np.testing.assert_array_equal(load_scan(tiff(colour, photometric="rgb")).values[0], colour)


def test_pages_are_frames() -> None:
    pages = np.stack([ramp(5, 6, np.uint8, step) for step in (1, 2, 3)])
    np.testing.assert_array_equal(load_scan(tiff(pages, photometric="minisblack")).values, pages)
    deep = np.stack([ramp(5, 6, np.float32, step) for step in (1, 2, 3)])
    np.testing.assert_array_equal(load_scan(tiff(deep, photometric="minisblack")).values, deep)


def test_pages_of_another_size_are_left_out() -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(ramp(4, 4, np.uint8, 1))
    scan = load_scan(picture(first, "TIFF", save_all=True, append_images=[second]))
    assert scan.frame_count == 1 and any("left out" in note for note in scan.notes)


def test_min_is_white_tiff() -> None:
    np.testing.assert_array_equal(load_scan(tiff(GREY, photometric="miniswhite")).values[0], 255 - GREY)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    first, second = Image.fromarray(ramp(8, 8, np.uint8, 1)), Image.fromarray(ramp(8, 8, np.uint8, 3))
    scan = load_scan(picture(first, kind, save_all=True, append_images=[second], **options))
    np.testing.assert_array_equal(scan.values[0], ramp(8, 8, np.uint8, 1))
    assert any("animation" in note for note in scan.notes)


def test_orientation_of_a_photograph() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scan = load_scan(picture(GREY, "PNG", exif=exif))
    np.testing.assert_array_equal(scan.values[0], np.rot90(GREY, -1))


def png_header(rows: int, columns: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("size", [(9000, 9000), (40000, 40000)])
def test_size_is_checked_before_decoding(size: tuple[int, int]) -> None:
    text = outcome(png_header(*size) + b"\0\0\0\0IDAT" + b"\0" * 8)
    assert isinstance(text, str) and "megapixels" in text


def test_damaged_pictures() -> None:
    text = outcome(picture(ramp(64, 64, np.uint8, 1))[:80], "a.png")
    assert isinstance(text, str) and "damaged or cut-off PNG" in text


def test_long_strips_are_refused() -> None:
    text = outcome(png_header(60000, 1) + b"\0\0\0\0IDAT" + b"\0" * 8)
    assert isinstance(text, str) and "strip" in text


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind,low,high", [(np.uint8, 0, 255), (np.uint16, 0, 65535), (np.uint16, 0, 4000),
                                           (np.int16, -30000, 30000), (np.int16, 0, 30000)])  # fmt: skip
def test_min_is_white_at_every_depth(compression: str | None, kind: type, low: int, high: int) -> None:
    values = np.array([[[low, high]], [[high, low]]], kind)
    scan = load_scan(tiff(values, photometric="miniswhite", compression=compression))
    np.testing.assert_allclose([scan.frame(0), scan.frame(1)], [[[1, 0]], [[0, 1]]], atol=1e-6)


def test_min_is_white_big_endian() -> None:
    data = tiff(np.array([[0, 65535, 5535]], np.uint16), photometric="miniswhite", byteorder=">")
    assert load_scan(data).values.tolist() == [[[65535, 0, 60000]]]


def test_a_jpeg_for_dicom_alone_is_not_called_damaged() -> None:
    for frame in (
        jpeg_ls.encode(ramp(16, 16, np.uint8, 1)).tobytes(),
        jpeg_12_bit(np.array([[0, 1000], [3000, 2048]], np.uint16)),
    ):
        text = outcome(frame, "slice.jpg")
        assert isinstance(text, str) and "convert it to PNG" in text and "damaged" not in text
    text = outcome(picture(GREY, "JPEG")[:200], "slice.jpg")
    assert isinstance(text, str) and "damaged or cut-off JPEG" in text
