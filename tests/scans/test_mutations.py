"""Damaged files open or are refused in a sentence; nothing else happens, nothing hangs, memory stays bounded."""

from __future__ import annotations

import gzip
import io
import os
import random
import resource
import struct
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from bombs import deflated_dicom
from builders import dataset, dicom, nifti, picture, ramp, saved, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcomes import outcome
from PIL import Image
from pydicom import uid

pytestmark = pytest.mark.filterwarnings("ignore")

MUTATIONS_EACH = int(os.environ.get("PURESCAN_MUTATIONS", "50"))
SECONDS_EACH = 5.0
MEMORY_GROWTH = 1500 * 2**20
_STARTS = [b"", b"\0" * 128 + b"DICM", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x89PNG\r\n\x1a\n", b"II*\0"]
_BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"


def _bundled(name: str) -> bytes:
    return (_BUNDLED / name).read_bytes()


def _encapsulated(syntax: uid.UID) -> bytes:
    ds = dataset(ramp())
    ds.compress(syntax, encoding_plugin="pydicom" if syntax == uid.RLELossless else "")
    return saved(ds)


def _jpeg_in_dicom() -> bytes:
    ds = dataset(ramp(16, 16, np.uint8, 1))
    ds.PixelData = pydicom.encaps.encapsulate([picture(ramp(16, 16, np.uint8, 1), "JPEG")])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    return saved(ds)


def _seeds() -> dict[str, bytes]:
    grey = ramp(16, 16, np.uint8, 1)
    rgb = np.stack([grey, grey[::-1], grey.T], axis=-1)
    volume = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    return {
        "explicit": dicom(ramp(), WindowCenter=[100, 50], WindowWidth=[200, 20], RescaleSlope=2, RescaleIntercept=-5),
        "big endian": dicom(ramp(), uid.ExplicitVRBigEndian),
        "implicit": dicom(ramp(4, 4), uid.ImplicitVRLittleEndian),
        "deflated": dicom(ramp(), uid.DeflatedExplicitVRLittleEndian),
        "multi-frame": dicom(np.stack([ramp(), ramp()])),
        "colour": dicom(rgb),
        "rle": _encapsulated(uid.RLELossless),
        "jpeg ls": _bundled("MR_small_jpeg_ls_lossless.dcm"),
        "jpeg 2000": _bundled("MR_small_jp2klossless.dcm"),
        "jpeg baseline": _jpeg_in_dicom(),
        "jpeg of 12 bits": _bundled("JPGExtended.dcm"),
        "mosaic": dicom(ramp(6, 6), ImageType=["ORIGINAL", "PRIMARY", "MOSAIC"], AcquisitionMatrix=[3, 0, 0, 3]),
        "jpeg lossless": _bundled("SC_rgb_jpeg_gdcm.dcm"),
        "palette": _bundled("SC_rgb_small_odd.dcm"),
        "without meta": dicom(ramp(4, 4), uid.ImplicitVRLittleEndian)[132:],
        "nifti": nifti(volume),
        "nifti gz": nifti(volume, packed=True),
        "png": picture(grey),
        "png 16": picture(ramp(8, 8, np.uint16, 1000)),
        "jpeg": picture(rgb, "JPEG"),
        "tiff": picture(grey, "TIFF"),
        "tiff pages": picture(Image.fromarray(grey), "TIFF", save_all=True, append_images=[Image.fromarray(grey)]),
        "tiff lzw": picture(rgb, "TIFF", compression="tiff_lzw"),
        "tiff float": picture(grey.astype(np.float32), "TIFF"),
        "bmp": picture(rgb, "BMP"),
        "webp": picture(rgb, "WEBP", lossless=True),
        "gif": picture(Image.fromarray(grey), "GIF"),
        "deflated, bare": deflated_dicom(0, preamble=False),
        "signed": dicom(ramp().astype(np.int16) - 500, RescaleSlope=0.5),
        "jpeg 2000 lossy": _bundled("JPEG2000.dcm"),
        "jpeg 2000 colour": _bundled("GDCMJ2K_TextGBR.dcm"),
        "ybr": _bundled("SC_ybr_full_422_uncompressed.dcm"),
        "nifti 2": nifti(volume, kind=nib.Nifti2Image),
        "tiff big": picture(Image.fromarray(grey), "TIFF", big_tiff=True),
        "tiff jpeg": picture(rgb, "TIFF", compression="jpeg"),
        "tiff deflate": picture(grey, "TIFF", compression="tiff_adobe_deflate"),
        "tiff 16": picture(ramp(8, 8, np.uint16, 1000), "TIFF"),
        "png palette": picture(Image.fromarray(rgb).quantize(16)),
        "png animated": picture(Image.fromarray(grey), save_all=True, append_images=[Image.fromarray(grey[::-1])]),
        "webp lossy": picture(rgb, "WEBP"),
        "zip": zipped({"a.dcm": dicom(ramp(4, 4)), "b.dcm": dicom(ramp(4, 4))}),
        "gzipped in a zip": zipped({"a.dcm.gz": gzip.compress(dicom(ramp(4, 4))), "a.log.gz": gzip.compress(b"log")}),
        "zip stored": zipped({"a.png": picture(grey)}, zipfile.ZIP_STORED),
    }


SEEDS = _seeds()


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Return `data` cut, flipped, spliced, filled or lengthened, once to four times."""
    mutant = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not mutant:
            break
        place = min(chance.randrange(len(mutant)), chance.randrange(len(mutant)))
        kind = chance.randrange(6)
        if kind == 0:
            del mutant[place + 1 :]
        elif kind == 1:
            mutant[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            start = chance.randrange(len(mutant))
            mutant[place : place + chance.randint(1, 32)] = mutant[start : start + chance.randint(0, 32)]
        elif kind == 3:
            mutant[place:place] = chance.randbytes(chance.randint(1, 16))
        elif kind == 4:
            mutant[place : place + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, struct.pack("<I", 2**31), b"\x7f\xff"))
        else:
            mutant[place] = chance.randrange(256)
    return bytes(mutant)


def _seconds(mutant: bytes) -> float:
    start = time.monotonic()
    outcome(mutant, "mutant")
    return time.monotonic() - start


@pytest.mark.parametrize("name", SEEDS)
def test_seed_opens(name: str) -> None:
    assert not isinstance(outcome(SEEDS[name], "seed"), str)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_open_or_are_refused_in_a_sentence(name: str) -> None:
    chance = random.Random(f"purescan {name}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(MUTATIONS_EACH):
        mutant = _mutated(SEEDS[name], chance)
        # Once more where it was slow: the machine may have been busy.
        assert any(_seconds(mutant) < SECONDS_EACH for _ in range(3))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MEMORY_GROWTH


@pytest.mark.slow
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(SEEDS)), permille=st.integers(0, 1000))
def test_any_truncation(name: str, permille: int) -> None:
    data = SEEDS[name]
    outcome(data[: permille * len(data) // 1000], "cut")


@pytest.mark.slow
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(start=st.sampled_from(_STARTS), rest=st.binary(max_size=400))
def test_any_bytes(start: bytes, rest: bytes) -> None:
    outcome(start + rest, "bytes")


@pytest.mark.slow
@settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(0, 65535),
    columns=st.integers(0, 65535),
    frames=st.integers(-5, 2**31 - 1),
    bits=st.integers(0, 70),
    syntax=st.sampled_from([uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000, uid.JPEGLossless]),
)
def test_any_announced_size(rows: int, columns: int, frames: int, bits: int, syntax: uid.UID) -> None:
    ds = dataset(ramp())
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.BitsAllocated = rows, columns, frames, bits
    stream = io.BytesIO()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.save_as(stream, enforce_file_format=True)
    outcome(stream.getvalue().replace(uid.ExplicitVRLittleEndian.encode(), syntax.encode()), "announced")


def test_enough_mutants() -> None:
    assert MUTATIONS_EACH * len(SEEDS) >= 2000 and len(SEEDS) >= 40
