"""Fractions that are held as the file's own integers: the values are those that floats would have been, to the bit."""

from __future__ import annotations

import socket
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.scans import limits, wire
from core.scans.decoding import decode_source
from core.scans.loading import load_scan
from core.scans.memory.scaled import STRAIGHT, Scaled, lines_of, on_lines, stored_of
from core.scans.memory.volume import Volume
from core.scans.scan import TooLarge
from core.scans.windowing import apply_window, full_window, robust_window
from tests.scans.builders import dicom, zipped

LINES = [(0.5, 0.25), (-0.25, 3.7), (1.0000001, -1024.0), (0.0001, 0.0)]
SMALL = [np.uint8, np.int8, np.uint16, np.int16]


def noise(kind: type, seed: int = 0) -> np.ndarray:
    ends = np.iinfo(kind)
    return np.random.default_rng(seed).integers(ends.min, ends.max, (3, 6, 5), kind, endpoint=True)


def floats(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def series(frames: list[np.ndarray], lines: list[tuple[float, float]]) -> bytes:
    shared = {"SeriesInstanceUID": "1.2.3", "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    return zipped(
        {
            f"{place}.dcm": dicom(
                frame, ImagePositionPatient=[0, 0, place], RescaleSlope=slope, RescaleIntercept=intercept, **shared
            )
            for place, (frame, (slope, intercept)) in enumerate(zip(frames, lines, strict=True))
        }
    )


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("line", LINES)
def test_dicom_has_the_values_and_windows_of_floats(kind: type, line: tuple[float, float]) -> None:
    stored = noise(kind)
    scan = load_scan(dicom(stored, RescaleSlope=str(line[0]), RescaleIntercept=str(line[1])))
    expected = floats(stored, *line)
    assert stored_of(scan.values).dtype == kind and scan.values.dtype == np.float32
    np.testing.assert_array_equal(scan.values, expected)
    assert scan.windows == (robust_window(expected), full_window(expected))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("order", "<>")
def test_nifti_has_the_values_and_windows_of_floats(kind: type, order: str) -> None:
    stored, line = noise(kind), (-0.3, 7.0)
    image = nib.Nifti1Image(np.zeros(stored.T.shape, kind), np.diag([-1, -1, 1, 1]))
    header = nib.Nifti1Header(image.header.binaryblock, endianness=image.header.endianness).as_byteswapped(order)
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = *line, 352
    content = header.binaryblock + bytes(4) + stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    scan = load_scan(content)
    expected = floats(stored, float(np.float32(line[0])), line[1])
    assert stored_of(scan.values).dtype == kind
    np.testing.assert_array_equal(scan.values, expected)
    assert scan.windows == (robust_window(expected), full_window(expected))


def test_each_slice_has_its_own_line() -> None:
    frames = [noise(np.uint16)[0], noise(np.int16)[1], noise(np.uint8)[2]]
    lines = [(0.1, 0.0), (3.0, -5.0), (-0.2, 1.0)]
    scan = load_scan(series(frames, lines))
    assert stored_of(scan.values).dtype == np.int32  # the second one's values are whole numbers, beyond 16 bits
    for place, (frame, line) in enumerate(zip(frames, lines, strict=True)):
        np.testing.assert_array_equal(scan.values[place], floats(frame, *line))
    np.testing.assert_array_equal(load_scan(series(frames[::-1], lines[::-1])).values, np.asarray(scan.values)[::-1])


@pytest.mark.parametrize("wide", [0, 1, 2])
def test_among_floats_all_are_floats(wide: int) -> None:
    frames, lines = [noise(np.int16)[0], noise(np.int16)[1], noise(np.int16)[2]], [(0.1, 0.0), (1.0, 0.0), (-0.2, 1.0)]
    frames[wide], lines[wide] = noise(np.int32)[wide], (0.3, 0.0)
    scan = load_scan(series(frames, lines))
    expected = [floats(frame, *line) for frame, line in zip(frames, lines, strict=True)]
    assert isinstance(scan.values, np.ndarray) and scan.values.dtype == np.float32
    np.testing.assert_array_equal(scan.values, expected)


def test_frames_of_an_enhanced_file_and_its_padding() -> None:
    stored = np.arange(90, dtype=np.int16).reshape(3, 6, 5)
    stored[:, 0] = -2000
    lines = [(0.5, 1.0), (1.0, 0.0), (-2.5, 3.0)]
    groups = [Dataset() for _ in lines]
    for group, (slope, intercept) in zip(groups, lines, strict=True):
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept = slope, intercept
        group.PixelValueTransformationSequence = Sequence([item])
    scan = load_scan(dicom(stored, PerFrameFunctionalGroupsSequence=Sequence(groups), PixelPaddingValue=-2000))
    expected = np.stack([floats(frame, *line) for frame, line in zip(stored, lines, strict=True)])
    assert lines_of(scan.values) == tuple(lines)
    np.testing.assert_array_equal(scan.values, expected)
    assert scan.windows[1] == full_window(expected, stored > -2000)
    for place, frame in enumerate(expected):
        np.testing.assert_array_equal(scan.frame(place), apply_window(frame, scan.windows[0]).astype(np.float32))


def test_it_is_indexed_as_an_array() -> None:
    stored = noise(np.int16)
    values = Scaled(stored, LINES[:3])
    whole = np.stack([floats(frame, *line) for frame, line in zip(stored, LINES[:3], strict=True)])
    several, every_second = slice(1, 3), slice(None, None, 2)
    for key in (1, -1, several, (2, several), (several, 0, 0), (several, every_second), (0, 1, 2)):
        np.testing.assert_array_equal(values[key], whole[key])
    assert len(values) == 3 and values.size == whole.size and values.shape == whole.shape
    with pytest.raises(IndexError):
        values[3]
    assert on_lines(stored, [STRAIGHT] * 3) is stored


def test_a_frame_that_comes_again_has_its_new_line() -> None:
    volume = Volume(2, "a")
    for line in ((0.5, 0.0), STRAIGHT):
        volume.put(0, np.full((2, 2), 7, np.int16), line)
        volume.put(1, np.full((2, 2), 7, np.int16), (0.25, 0.0))
    assert volume.lines([0, 1]) == [STRAIGHT, (0.25, 0.0)]
    volume.put(1, np.full((2, 2), 0.5, np.float32))
    assert volume.take()[:, 0, 0].tolist() == [7, 0.5] and set(volume.lines([0, 1])) == {STRAIGHT}


def test_fractions_take_no_more_room_than_the_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (noise(kind) for kind in (np.int16, np.int32))
    monkeypatch.setattr(limits, "MAX_SCAN_BYTES", small.nbytes)
    assert decode_source(memoryview(dicom(small, RescaleSlope=0.5)), "a", None, 0).frame_count == 3
    with pytest.raises(TooLarge):
        decode_source(memoryview(dicom(large, RescaleSlope=0.5)), "a", None, 0)


def test_values_beyond_float32_are_0_as_before() -> None:
    stored = np.array([[[0, 1], [2, 30000]]], np.int16)
    scan = load_scan(dicom(stored, RescaleSlope="1e34", RescaleIntercept="0.5"))
    np.testing.assert_array_equal(np.asarray(scan.values)[0, 1], np.array([2e34, 0], np.float32))


@pytest.mark.parametrize(
    "changes",
    [{"lines": [[0.5, 0.0]]}, {"lines": [[0.5, 0.0]] * 4}, {"lines": [[float("nan"), 0.0]] * 3},
     {"lines": [[1e300, 0.0]] * 3}, {"lines": [[0.5]] * 3}, {"type": "<f2"}, {"shape": [3, 10, 1, 3]}],
)  # fmt: skip
def test_lines_that_are_none_are_not_taken_from_another_process(changes: dict[str, Any]) -> None:
    scan = load_scan(dicom(noise(np.int16), RescaleSlope=0.5))
    here, there = socket.socketpair()
    with here, there:
        wire.send_scan(here, scan)
        facts = wire.receive_facts(there)
        with pytest.raises(ValueError):
            wire.receive_scan(there, facts | changes)
        assert lines_of(wire.receive_scan(there, facts).values) == ((0.5, 0.0),) * 3
