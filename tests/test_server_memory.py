"""The real app over many scans and studies, without a browser: what they leave in the server's memory.

PURESCAN_UPLOADS=100 has it opened 100 scans, and PURESCAN_STUDIES=30x50 30 studies of 50 MB.
"""

import asyncio
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import SpooledTemporaryFile

import numpy as np
import pytest
from pydicom.uid import generate_uid
from skimage.draw import ellipse
from starlette import formparsers
from starlette.requests import Request
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.typing import UploadedFile

from core.scans import limits, write_derived_dicom
from pages.shared.uploads import keep_uploads_in_memory, refusal, refuse_large_sums
from pages.shared.words import plain
from tests.app_server import Server, start_server
from tests.memory import held
from tests.scans.builders import dicom
from tests.visitor import Visitor

COUNT, SIZE_MB = map(int, os.environ.get("PURESCAN_STUDIES", "8x20").split("x"))
SIDE = 512
SLICES = SIZE_MB * limits.MEBIBYTE // (2 * SIDE**2)
UPLOADER = "Upload a scan"
KEPT_TIMES = 3
FILLED = 3  # studies after which what is kept on purpose is there
SAMPLES = Path(__file__).resolve().parents[1] / "assets" / "samples"
UPLOADS = int(os.environ.get("PURESCAN_UPLOADS", "20"))
# After this many scans what is kept on purpose is there. Of the rest the second half has four large scans more behind
# it than the first. One that was kept weighs 17 MB with what the viewer has of it: four are 68 MB.
FIRST_UPLOADS = 4
GROWTH_MB = 25


@pytest.fixture
def server() -> Iterator[Server]:
    process, running = start_server()
    yield running
    process.terminate()
    process.wait(20)


def study(number: int) -> bytes:
    """A ZIP of two series, so that the app keeps it: of noisy slices, which no two studies share, and of one slice."""
    random = np.random.default_rng(number)
    stream, uids = io.BytesIO(), (generate_uid(), generate_uid())
    with zipfile.ZipFile(stream, "w") as archive:
        for place in range(SLICES + 1):
            pixels = random.integers(0, 4096, (SIDE, SIDE), np.uint16)
            tags = {"ImagePositionPatient": [0, 0, 2.0 * place], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
            tags |= {"PixelSpacing": [0.5, 0.5], "SliceThickness": 2, "SeriesInstanceUID": uids[place == SLICES]}
            archive.writestr(f"{place}.dcm", dicom(pixels, **tags))
    return stream.getvalue()


def open_study(visitor: Visitor, path: Path) -> None:
    visitor.upload(path, UPLOADER)
    visitor.wait(lambda: plain(path.name) in visitor.text and "2 series in this study" in visitor.text)


def test_an_upload_is_written_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", SpooledTemporaryFile)
    keep_uploads_in_memory()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="scan.dcm"\r\n\r\n'
    body = head + bytes(3 * 2**20) + b"\r\n--x--\r\n"

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def stays_in_memory() -> bool:
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        form = await Request({"type": "http", "method": "PUT", "headers": headers}, receive).form()
        file = form["file"].file
        return not file._rolled and await form["file"].read() is file.getvalue() and len(file.getvalue()) == 3 * 2**20

    assert asyncio.run(stays_in_memory())


def test_files_of_one_visit_are_let_go_once_they_are_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.uploads.most_megabytes", lambda: 2)
    manager = MemoryUploadedFileManager("/upload")
    refuse_large_sums(manager)
    for number in range(5):
        manager.add_file("mine", UploadedFileRec(str(number), f"{number}.dcm", "", bytes(2**20)))
    manager.add_file("other", UploadedFileRec("0", "0.dcm", "", bytes(2**20)))
    held = manager.get_files("mine", [str(number) for number in range(5)])
    assert [len(file.data) for file in held] == [2**20, 2**20, 0, 0, 0]
    files = [UploadedFile(file, FileURLs()) for file in held]
    assert refusal(files[:2]) is None and "larger than 2 MB" in (refusal(files) or "")
    assert len(manager.get_files("other", ["0"])[0].data) == 2**20


def phantom(folder: Path, seed: int, side: int = 128) -> bytes:
    """A synthetic head of ellipses as DICOM; every seed gives another one."""
    random = np.random.default_rng(seed)
    image = np.zeros((side, side))
    for grey, radius in ((0.9, 0.42), (0.3, 0.38), (0.5, 0.35)):
        image[ellipse(side / 2, side / 2, radius * side, radius * side * 0.85)] = grey
    for _ in range(8):
        row, column = random.uniform(0.3, 0.7, 2) * side
        image[ellipse(row, column, *random.uniform(0.03, 0.1, 2) * side, shape=image.shape)] = random.uniform(0.2, 0.8)
    noisy = np.clip(image + random.normal(0, 0.01, image.shape), 0, 1)
    path = write_derived_dicom(folder / f"{seed}.dcm", noisy, kind="synthetic", description="Ellipses for a test")
    return path.read_bytes()


def enter(server: Server) -> Visitor:
    """A visitor who has read the notice, on Home."""
    visitor = Visitor(server.url)
    visitor.click("I understand")
    visitor.wait(lambda: UPLOADER in visitor.text)
    return visitor


def open_scan(visitor: Visitor, path: Path) -> None:
    visitor.upload(path, UPLOADER)
    visitor.wait(lambda: plain(path.name) in visitor.text and "seed" in visitor.text)


@pytest.mark.slow
def test_memory_of_the_server_stays_flat_over_uploads(
    server: Server, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    visitor, used = enter(server), []
    for number in range(UPLOADS):
        # Every other one large, so that what is left behind weighs something (8.4 MB), the rest with an answer.
        small = SAMPLES / f"tumour-0{number // 2 % 6 + 1}.dcm"
        path = tmp_path / f"upload-{number}.dcm"
        path.write_bytes(phantom(tmp_path, number, side=2048) if number % 2 else small.read_bytes())
        open_scan(visitor, path)
        used.append(round(server.memory_mb()))
    record_property("memory_mb", used)
    print(f"Memory over {UPLOADS} uploads, MB: {used}")
    # Medians of eight, as the allocator holds what is free for a while and gives it back in jumps of up to 45 MB: they
    # differ by a few MB, while what is kept lifts all that comes after it. And of this process what it has, not its
    # share: that of the libraries changes with what else on the machine has them.
    half = (UPLOADS - FIRST_UPLOADS) // 2
    assert median(used[-half:]) - median(used[FIRST_UPLOADS:-half]) < GROWTH_MB, used
    visitor.close()


@pytest.mark.slow
def test_memory_of_the_server_stays_flat_over_studies(
    server: Server, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    visitor, used = enter(server), []
    for number in range(COUNT):
        path = tmp_path / f"study{number}.zip"
        path.write_bytes(study(number))
        open_study(visitor, path)
        path.unlink()
        used.append(round(held(server.pid) / limits.MEBIBYTE))
    record_property("memory_mb", used)
    print(f"Memory over {COUNT} studies of {SIZE_MB} MB, MB: {used}")
    # One that was kept weighs three times its size: the file, the scan, and what the viewer has of it. The
    # allocator's own creep over all of them is less than the first that is kept.
    assert median(used[-FILLED:]) - median(used[FILLED : 2 * FILLED]) < KEPT_TIMES * SIZE_MB, used
    visitor.close()
