"""The largest uploads: how much memory and processor time opening one takes, and that it is right.

PURESCAN_LARGEST=500 has files as large as may be uploaded.
"""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable, Iterator

import nibabel as nib
import numpy as np
import pytest

from core.scans import limits
from core.scans.loading import READER, Study
from core.scans.memory.scaled import stored_of
from core.scans.viewing import viewer_volume
from tests.memory import Memory
from tests.scans.builders import dicom

SIZE_MB = int(os.environ.get("PURESCAN_LARGEST", "120"))
SIDE = 512
SLICES = SIZE_MB * limits.MEBIBYTE // (2 * SIDE**2 + 2048)  # what stands before the pixels has room as well
Lines = Callable[[int], tuple[float, float]]
BLOCK = np.random.default_rng(0).integers(0, 4096, (16, SIDE, SIDE), np.uint16)
# Once the file, once its pixels, at most 64 MB for the browser, and what a small file takes.
ALLOWED_MB = 2 * SIZE_MB + 64 + 60


def a_slice(place: int) -> np.ndarray:
    """Every slice is another one."""
    return np.roll(BLOCK[place % len(BLOCK)], place)


def archive(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method, compresslevel=1) as packed:
        for name, content in files():
            packed.writestr(name, content)
    return stream.getvalue()


def rescaled(place: int) -> tuple[float, float]:
    return 1, -1024


def files(lines: Lines = rescaled) -> Iterator[tuple[str, bytes]]:
    for place in range(SLICES):
        slope, intercept = lines(place)
        tags = {"ImagePositionPatient": [0, 0, 2.0 * place], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        tags |= {"PixelSpacing": [0.5, 0.5], "SeriesInstanceUID": "1.2.3"}
        tags |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
        yield f"{place}.dcm", dicom(a_slice(place), InstanceNumber=place, **tags)


def volume() -> np.ndarray:
    return np.stack([a_slice(place) for place in range(SLICES)])


def nifti(slope: float = 1, intercept: float = 0) -> bytes:
    content = bytearray(nib.Nifti1Image(volume().astype(np.int16).T, np.diag([-0.5, -0.5, 2, 1])).to_bytes())
    content[112:120] = np.array([slope, intercept], "<f4").tobytes()  # scl_slope, scl_inter
    return bytes(content)


LINES: dict[str, Lines] = {
    "files of fractions": lambda place: (0.5 ** (place % 3), -0.25),
    "multi-frame": lambda place: (1, 0),
    "NIfTI": lambda place: (1, 0),
    "NIfTI of fractions": lambda place: (-0.5, 3),
    "gzipped NIfTI": lambda place: (1, 0),
}
"""By kind and slice, slope and intercept; else `rescaled`."""

KINDS: dict[str, Callable[[], list[tuple[str, bytes]]]] = {
    "archive": lambda: [("study.zip", archive(zipfile.ZIP_STORED))],
    "deflated archive": lambda: [("study.zip", archive(zipfile.ZIP_DEFLATED))],
    "files": lambda: list(files()),
    "files of fractions": lambda: list(files(LINES["files of fractions"])),
    "multi-frame": lambda: [("frames.dcm", dicom(volume(), NumberOfFrames=SLICES))],
    "NIfTI": lambda: [("volume.nii", nifti())],
    "NIfTI of fractions": lambda: [("volume.nii", nifti(*LINES["NIfTI of fractions"](0)))],
    "gzipped NIfTI": lambda: [("volume.nii.gz", gzip.compress(nifti(), 1))],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_upload_is_held_once_and_its_pixels_once(kind: str) -> None:
    brought = KINDS[kind]()
    READER.start()
    READER.open(dicom(BLOCK[:1]), "warm")
    with Memory(os.getpid()) as memory:
        study = Study.of_files(brought)
        scan = study.begin().finish()
        viewer_volume(scan)
    print(f"{kind} of {SIZE_MB} MB: {memory.grown / limits.MEBIBYTE:.0f} MB more at most")
    assert memory.grown < ALLOWED_MB * limits.MEBIBYTE
    assert stored_of(scan.values).itemsize == 2 and scan.frame_count == SLICES
    for place in (0, SLICES // 2, SLICES - 1):
        slope, intercept = LINES.get(kind, rescaled)(place)
        np.testing.assert_array_equal(scan.values[place], slope * a_slice(place).astype(float) + intercept)
