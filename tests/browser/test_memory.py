"""The real app over the largest uploads: how much of the server's memory they take."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from helpers import WAIT_MS, decision, settle, upload
from playwright.sync_api import Page, expect

from core.scans import derived_dicom, limits
from tests.memory import Memory

Visit = Callable[[], Page]
SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
MOST_MB = 1500


def deep_picture() -> bytes:
    """A TIFF of 16 bits with as many pixels as may be opened."""
    side, stream = int(limits.MAX_FRAME_PIXELS**0.5), io.BytesIO()
    ramp = np.arange(side * side, dtype=np.uint32).reshape(side, side) % 60_000
    tifffile.imwrite(stream, ramp.astype(np.uint16))
    return stream.getvalue()


def archive() -> bytes:
    """A ZIP of one megabyte that unpacks to as much as may be unpacked."""
    stream, content = io.BytesIO(), dicom_of_zeros()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(limits.MAX_ARCHIVE_BYTES // len(content) - 1):
            packed.writestr(f"{number}.dcm", content)
    return stream.getvalue()


def dicom_of_zeros(side: int = 1000) -> bytes:
    """A black image."""
    return derived_dicom(np.zeros((side, side)), kind="synthetic", description="Black, for a test")


def test_the_largest_uploads_stay_within_memory(open_app: Visit, server, tmp_path: Path) -> None:
    page = open_app()
    upload(page, "small.dcm", (SAMPLES / "tumour-01.dcm").read_bytes())
    decision(page, "small.dcm")
    for name, content in (("deep.tif", deep_picture()), ("study.zip", archive())):
        path = tmp_path / name
        path.write_bytes(content)
        with Memory(server.pid) as memory:
            settle(page)
            page.get_by_test_id("stSidebar").get_by_test_id("stFileUploaderDropzoneInput").set_input_files(path)
            said = page.get_by_test_id("stMain").get_by_text(name).first
            expect(said).to_be_visible(timeout=WAIT_MS)
            settle(page)
        print(f"{name}, {len(content) / 2**20:.0f} MB: {memory.grown / 2**20:.0f} MB more at most")
        assert memory.grown < MOST_MB * 2**20
