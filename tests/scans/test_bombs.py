"""Files that ask for too much end in a sentence, within a memory limit and in time, and nobody else notices."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bombs
import numpy as np
import pytest
from builders import dicom, ramp
from outcomes import outcome

from core.scans import ScanError, load_scan
from core.scans.loading import READER
from core.scans.reader import Reader
from tests.memory import Memory

MEMORY = 1500 * bombs.MEBIBYTE
SECONDS = 20.0

BOMBS = {
    "deflated": lambda: bombs.deflated_dicom(6000),
    "deflated, long version": lambda: bombs.deflated_dicom(6000, version_bytes=20_000),
    "deflated, no preamble": lambda: bombs.deflated_dicom(6000, preamble=False),
    "deflated, no preamble, long version": lambda: bombs.deflated_dicom(6000, False, 20_000),
    "rle": lambda: bombs.rle_dicom(4, 3000),
    "rle, large": lambda: bombs.rle_dicom(8000, 6000),
    "jpeg 2000, tiny tiles": lambda: bombs.jpeg2000_dicom(8000),
    "jpeg 2000, one tile": lambda: bombs.jpeg2000_dicom(8000, 8000),
    "jpeg-ls": lambda: bombs.jpeg_ls_dicom(8000),
    "tiff of many pages": lambda: bombs.tiff_of_pages(100_000),
    "tiff in a circle": lambda: bombs.tiff_of_pages(3, circle=True),
    "png with text": lambda: bombs.png_with_text(200),
}


@pytest.fixture
def quick() -> Iterator[Reader]:
    """A reader that has little patience."""
    reader = Reader(seconds=0.5)
    yield reader
    reader.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_within_memory_and_time(name: str) -> None:
    content = BOMBS[name]()
    READER.start()
    with Memory(os.getpid()) as memory:
        start = time.monotonic()
        result = outcome(content, "bomb")
        seconds = time.monotonic() - start
    assert memory.grown < MEMORY and seconds < SECONDS
    # What its one tile lacks, OpenJPEG takes for black.
    assert isinstance(result, str) or name == "jpeg 2000, one tile"
    assert load_scan(dicom(ramp())).frame_count == 1  # the next one is served


@pytest.mark.slow
def test_a_little_memory_is_enough_for_a_little_scan_and_not_for_a_large_one() -> None:
    reader = Reader(memory=100 * bombs.MEBIBYTE)
    try:
        assert reader.open(dicom(ramp()), "small").frame_count == 1
        with pytest.raises(ScanError, match="'large' needs more memory"):
            reader.open(dicom(np.zeros((100, 1000, 1000), np.uint16)), "large")
    finally:
        reader.close()


@pytest.mark.slow
def test_errors_of_other_threads_are_written_while_a_file_is_opened(capfd: pytest.CaptureFixture[str]) -> None:
    opening = threading.Thread(target=READER.open, args=(bombs.tiff_of_pages(2000), "pages.tif"))
    opening.start()
    lines = 0
    while opening.is_alive():
        os.write(2, b"a traceback\n")
        lines += 1
        time.sleep(0.005)
    assert capfd.readouterr().err.count("a traceback") == lines > 1


@pytest.mark.slow
def test_what_takes_too_long_is_ended(quick: Reader) -> None:
    quick.open(dicom(ramp()), "warm")
    start = time.monotonic()
    with pytest.raises(ScanError, match="'slow.tif' takes longer than"):
        quick.open(bombs.tiff_of_pages(5000), "slow.tif")
    assert time.monotonic() - start < 2


@pytest.mark.slow
def test_cancelling_ends_the_process_and_frees_the_place() -> None:
    reader = Reader(at_once=1)
    try:
        reader.open(dicom(ramp()), "warm")
        opening = reader.begin(bombs.tiff_of_pages(5000), "slow.tif")
        threading.Timer(0.2, opening.cancel).start()
        start = time.monotonic()
        with pytest.raises(ScanError, match="no longer being opened"):
            opening.finish()
        assert reader.open(dicom(ramp()), "next").frame_count == 1
        assert time.monotonic() - start < 1.5
    finally:
        reader.close()


@pytest.mark.slow
def test_a_reader_that_was_killed_is_started_again() -> None:
    reader = Reader()
    try:
        reader.open(dicom(ramp()), "first")
        assert reader.pid is not None
        os.kill(reader.pid, signal.SIGKILL)
        assert reader.open(dicom(ramp()), "second").frame_count == 1
    finally:
        reader.close()


def test_a_scan_crosses_whole(sample_files: list[Path]) -> None:
    from core.scans.decoding import decode_source

    for file in sample_files[:3]:
        here, there = decode_source(file, file.name), load_scan(file)
        np.testing.assert_array_equal(here.values, there.values)
        assert {field: value for field, value in vars(here).items() if field != "values"} == {
            field: value for field, value in vars(there).items() if field != "values"
        }
