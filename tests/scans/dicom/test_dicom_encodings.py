"""DICOM pixels that aren't encoded as their tags say, and decoders that stand in for one another."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import jpeg_ls
import numpy as np
import pydicom
import pytest
from builders import dataset, dicom, picture, ramp, saved
from codestreams import PROGRESSIVE, SEQUENTIAL, jpeg_12_bit
from outcomes import refused
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info

from core.scans import Scan, load_scan
from core.scans.dicom.reading import read_dicom
from core.scans.memory.content import Content

pytestmark = pytest.mark.filterwarnings("ignore")

GREY = ramp(16, 16, np.uint8, 1)


def encapsulated(frame: bytes, syntax: uid.UID | str, pixels: np.ndarray = GREY, **tags: object) -> bytes:
    ds = dataset(pixels, **tags)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return saved(ds)


def noted(scan: Scan, *words: str) -> None:
    assert any(all(word in note for word in words) for note in scan.notes), scan.notes


@pytest.mark.parametrize("syntax", ["51", "53", "55"])
@pytest.mark.parametrize("process", [SEQUENTIAL, PROGRESSIVE])
def test_lossy_jpeg_of_twelve_bits(syntax: str, process: int) -> None:
    blocks = np.array([[0, 1000], [3000, 2048]], np.uint16)
    pixels = np.kron(blocks, np.ones((8, 8), np.uint16))
    data = encapsulated(
        jpeg_12_bit(blocks, process), f"1.2.840.10008.1.2.4.{syntax}", pixels, BitsStored=12, HighBit=11
    )
    np.testing.assert_array_equal(load_scan(data).values[0], pixels)


def test_padding_in_a_jpeg_ls_stream_is_left_to_the_second_decoder() -> None:
    frame = bytes(jpeg_ls.encode_array(GREY))
    padded = frame[:-2] + b"\0" + frame[-2:]
    with pytest.raises(RuntimeError):
        jpeg_ls.decode_pixel_data(padded)
    np.testing.assert_array_equal(load_scan(encapsulated(padded, uid.JPEGLSLossless)).values[0], GREY)


def _lossless() -> tuple[bytes, np.ndarray]:
    packed = Path(pydicom.__file__).parent / "data" / "test_files" / "SC_rgb_jpeg_gdcm.dcm"
    return next(generate_frames(pydicom.dcmread(packed).PixelData, number_of_frames=1)), load_scan(packed).values[0]


NOISE = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
CODED = {
    "JPEG-LS": (uid.JPEGLSLossless, lambda: (bytes(jpeg_ls.encode_array(NOISE)), NOISE)),
    "JPEG 2000": (uid.JPEG2000, lambda: (picture(NOISE, "JPEG2000", no_jp2=True), NOISE)),
    "JPEG": (uid.JPEGBaseline8Bit, lambda: (picture(NOISE, "JPEG", quality=100), NOISE)),
    "lossless JPEG": (uid.JPEGLosslessSV1, _lossless),
}
END = b"\xff\xd9"
TAILS = {
    "nothing": b"", "a zero": b"\0", "zeros": b"\0\0\0\0", "half of it": b"\xff", "twice": END + END,
    "bytes": END + b"\x12\x34\x56" * 5, "zeros behind": END + bytes(64), "filled": b"\xff" + END,
}  # fmt: skip


def test_a_lossless_jpeg_of_fewer_bits_than_its_codestream() -> None:
    frame, pixels = _lossless()
    data = encapsulated(frame, uid.JPEGLosslessSV1, pixels, BitsStored=6, HighBit=5)
    assert load_scan(data).values.shape == (1, *pixels.shape)


@pytest.mark.parametrize("family", CODED)
@pytest.mark.parametrize("tail", TAILS)
def test_what_stands_where_the_end_marker_should(family: str, tail: str) -> None:
    syntax, make = CODED[family]
    frame, pixels = make()
    frame = frame.rstrip(b"\0").removesuffix(END) + TAILS[tail]
    found = load_scan(encapsulated(frame, syntax, pixels)).values[0]
    assert np.abs(found.astype(int) - pixels).max() <= (family == "JPEG")


@pytest.mark.slow  # a decoder of JPEG-LS takes all the time that it may
@pytest.mark.parametrize("family", CODED)
def test_pixels_that_are_cut_off_are_not_made_up(family: str) -> None:
    syntax, make = CODED[family]
    frame, pixels = make()
    for size in (len(frame) * 6 // 10, len(frame) - 12):
        refused(encapsulated(frame[:size], syntax, pixels), "damaged")


def test_frames_without_end_markers_each_get_their_own() -> None:
    frames = [GREY, NOISE, GREY[::-1]]
    coded = [bytes(jpeg_ls.encode_array(np.ascontiguousarray(frame))).rstrip(b"\0") for frame in frames]
    ds = dataset(np.stack(frames))
    ds.PixelData = encapsulate([coded[0], *(code.removesuffix(END) for code in coded[1:])])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    np.testing.assert_array_equal(load_scan(saved(ds)).values, np.stack(frames))


@pytest.mark.parametrize("end", [b"", b"\0", END])
def test_jpeg_2000_that_states_no_length_needs_no_end_marker(end: bytes) -> None:
    frame = picture(NOISE, "JPEG2000", no_jp2=True)
    part = frame.rfind(b"\xff\x90\0\x0a")
    opened = frame[: part + 6] + bytes(4) + frame[part + 10 :].removesuffix(END)
    np.testing.assert_array_equal(load_scan(encapsulated(opened + end, uid.JPEG2000)).values[0], NOISE)
    if end != END:
        for cut in (len(opened) * 6 // 10, len(opened) - 12):
            refused(encapsulated(opened[:cut] + end, uid.JPEG2000), "damaged")


@pytest.mark.parametrize("says", [uid.JPEG2000, uid.JPEGBaseline8Bit, uid.JPEGLSLossless, uid.RLELossless])
def test_uncompressed_pixels_that_claim_to_be_compressed(says: uid.UID) -> None:
    ds = dataset(ramp())
    ds.file_meta.TransferSyntaxUID = says
    stream = io.BytesIO()
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, ds.file_meta)
    plain = DicomFileLike(stream)
    plain.is_little_endian, plain.is_implicit_VR = True, False
    write_dataset(plain, ds)
    scan = load_scan(stream.getvalue())
    np.testing.assert_array_equal(scan.values[0], ramp())
    noted(scan, "Explicit VR Little Endian", "Transfer Syntax")


@pytest.mark.parametrize("kind", ["JPEG2000", "JPEG"])
def test_compressed_pixels_that_claim_otherwise(kind: str) -> None:
    frame = picture(GREY, kind, **({"no_jp2": True} if kind == "JPEG2000" else {"quality": 100}))
    plain = dataset(GREY, PixelData=frame + b"\0" * (len(frame) % 2))
    other = uid.JPEGLSLossless
    for data in (encapsulated(frame, uid.ExplicitVRLittleEndian), encapsulated(frame, other), saved(plain)):
        scan = load_scan(data)
        assert np.abs(scan.values[0].astype(int) - GREY).max() <= 1
        noted(scan, "JPEG", "whatever the file says")


def test_rle_that_claims_to_be_uncompressed() -> None:
    ds = dataset(ramp(64, 64))
    ds.compress(uid.RLELossless, encoding_plugin="pydicom")
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    np.testing.assert_array_equal(load_scan(saved(ds)).values[0], ramp(64, 64))


def test_subsampled_colour_of_full_length_is_not_subsampled() -> None:
    colour = np.stack([GREY, np.full_like(GREY, 90), np.full_like(GREY, 200)], -1)
    whole = dicom(colour, PhotometricInterpretation="YBR_FULL")
    scan = load_scan(dicom(colour, PhotometricInterpretation="YBR_FULL_422"))
    np.testing.assert_array_equal(scan.values, load_scan(whole).values)
    noted(scan, "YBR_FULL", "Photometric Interpretation")


@pytest.mark.parametrize("stated", [None, 0, 20, ""])
def test_bits_stored_that_cannot_be(stated: object) -> None:
    scan = load_scan(dicom(ramp(), BitsStored=stated))
    np.testing.assert_array_equal(scan.values[0], ramp())
    noted(scan, "Bits Stored", "16")
    frame = picture(GREY, "JPEG2000", no_jp2=True)
    noted(load_scan(encapsulated(frame, uid.JPEG2000, BitsStored=stated)), "Bits Stored", "8")


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated"])
def test_an_attribute_that_nothing_replaces_is_named(keyword: str) -> None:
    refused(dicom(ramp(), **{keyword: None}), keyword)


@pytest.mark.parametrize(
    "keyword, stated",
    [("PixelRepresentation", 7), ("PixelRepresentation", ""), ("PhotometricInterpretation", "SIGMOID"),
     ("PhotometricInterpretation", ""), ("PhotometricInterpretation", "YBR_FULL_422")],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_what_describes_grey_pixels_and_cannot_be(keyword: str, stated: object, syntax: uid.UID) -> None:
    ds = dataset(ramp(64, 64))
    if syntax.is_compressed:
        ds.compress(syntax, encoding_plugin="pydicom")
    ds[keyword].value = stated
    scan = load_scan(saved(ds))
    np.testing.assert_array_equal(scan.values[0], ramp(64, 64))
    if stated == "":
        assert not any("possible" in note for note in scan.notes), scan.notes
    else:
        noted(scan, "possible", "MONOCHROME2" if keyword == "PhotometricInterpretation" else "Pixel Representation")


@pytest.mark.parametrize(
    "keyword, stated",
    [("PlanarConfiguration", 9), ("PlanarConfiguration", ""), ("PhotometricInterpretation", "MONOCHROME2"),
     ("SamplesPerPixel", ""), ("SamplesPerPixel", None)],
)  # fmt: skip
def test_what_describes_coloured_pixels_and_cannot_be(keyword: str, stated: object) -> None:
    colour = np.stack([GREY, np.full_like(GREY, 90), np.full_like(GREY, 200)], -1)
    scan = load_scan(dicom(colour, **{keyword: stated}))
    np.testing.assert_array_equal(scan.values[0], colour)


def test_a_photometric_interpretation_in_small_letters() -> None:
    assert load_scan(dicom(GREY, PhotometricInterpretation="monochrome1 ")).inverted


@pytest.mark.parametrize("stated", [7, 0, None, ""])
def test_bits_allocated_that_cannot_be(stated: object) -> None:
    frame = picture(GREY, "JPEG2000", no_jp2=True)
    scan = load_scan(encapsulated(frame, uid.JPEG2000, BitsAllocated=stated))
    np.testing.assert_array_equal(scan.values[0], GREY)
    noted(scan, "Bits Allocated", "8")
    if isinstance(stated, int):
        refused(dicom(ramp(), BitsAllocated=stated), "BitsAllocated")


def test_a_picture_of_other_colours_than_announced_says_so() -> None:
    colour = picture(np.stack([GREY] * 3, -1), "JPEG")
    refused(encapsulated(colour, uid.JPEGBaseline8Bit), "16 × 16 × 1 pixels", "16 × 16 × 3")


def test_a_damaged_number_of_frames_is_counted() -> None:
    whole = dicom(np.stack([ramp()] * 3))
    assert whole.count(b"IS\x02\x003 ") == 1
    scan = load_scan(whole.replace(b"IS\x02\x003 ", b"IS\x02\x003A"))
    assert scan.frame_count == 3
    noted(scan, "Number of Frames", "counted")


@pytest.mark.parametrize("stated, frames", [(0, 3), (-1, 3), ("", 1)])
def test_a_number_of_frames_that_cannot_be(stated: object, frames: int) -> None:
    scan = load_scan(dicom(np.stack([ramp()] * 3), NumberOfFrames=stated))
    assert scan.frame_count == frames


def _with_offsets(*offsets: int, frames: int = 3) -> Dataset:
    values = np.stack([np.full((16, 16), 80 * number, np.uint8) for number in range(3)])
    ds = dataset(values, NumberOfFrames=frames)
    items = encapsulate([picture(frame, "JPEG") for frame in values], has_bot=False)[8:]
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    ds.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(table)) + table + items
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    return ds


@pytest.mark.parametrize("offsets", [(0, 0, 0), (0, 5, 9), (8, 20, 30), (0, 10), ()])
def test_offsets_that_lead_nowhere(offsets: tuple[int, ...]) -> None:
    scan = load_scan(saved(_with_offsets(*offsets)))
    assert [int(frame.mean().round()) for frame in scan.values] == [0, 80, 160]


def test_frames_are_counted_by_their_offsets_where_no_number_is_stated() -> None:
    assert load_scan(saved(_with_offsets(0, 0, 0, frames=0))).frame_count == 3


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_zeros_behind_the_pixels_are_not_read_element_by_element(syntax: uid.UID) -> None:
    padded = dicom(ramp(), syntax) + bytes(1000)
    assert 0x00000000 not in read_dicom(Content.of(padded), "padded")
    np.testing.assert_array_equal(load_scan(padded).values[0], ramp())
