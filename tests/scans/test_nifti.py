"""NIfTI: orientation, scaling, and what is refused."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
from builders import nifti
from outcomes import outcome

from core.scans import load_scan

# Voxel (x, y, z) holds 100x + 10y + z; with the identity, x grows to the right, y to the front, z to the head.
X, Y, Z = np.meshgrid(range(3), range(4), range(2), indexing="ij")
RAS = (100 * X + 10 * Y + Z).astype(np.int16)
# Rows from the front to the back, columns from the patient's right to the left.
FIRST = [[230, 130, 30], [220, 120, 20], [210, 110, 10], [200, 100, 0]]


def refused(data: bytes, *words: str) -> None:
    text = outcome(data, "v.nii")
    assert isinstance(text, str), text
    assert all(word in text for word in words), text


def affine(code: str, zooms: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    """Return the affine of voxel axes that point to `code`."""
    turn = nib.orientations.axcodes2ornt(tuple(code))
    matrix = np.zeros((4, 4))
    for axis, (target, sign) in enumerate(turn):
        matrix[int(target), axis] = sign * zooms[axis]
    matrix[3, 3] = 1
    return matrix


def stored(code: str) -> np.ndarray:
    """Return the volume above as a file with axes `code` stores it."""
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(tuple("RAS")), nib.orientations.axcodes2ornt(tuple(code))
    )
    return nib.orientations.apply_orientation(RAS, turn)


@pytest.mark.parametrize("code", ["RAS", "LAS", "LPS", "PSR", "SAL", "IPR"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_storage_order_gives_the_same_picture(code: str, packed: bool) -> None:
    scan = load_scan(nifti(stored(code), affine(code), packed))
    assert scan.kind == "nifti" and scan.modality is None and scan.values.shape == (2, 4, 3)
    np.testing.assert_array_equal(scan.values[0], FIRST)
    np.testing.assert_array_equal(scan.values[1], np.array(FIRST) + 1)


def test_spacing_follows_the_turn() -> None:
    scan = load_scan(nifti(stored("PSR"), affine("PSR", (2, 3, 5))))
    # Axes of the file: front-back 2 mm, head-feet 3 mm, left-right 5 mm.
    assert scan.spacing == (3, 2, 5)


def test_first_of_several_volumes() -> None:
    scan = load_scan(nifti(np.stack([RAS, RAS + 1000], axis=-1)))
    np.testing.assert_array_equal(scan.values[0], FIRST)
    assert any("2 volumes" in note for note in scan.notes)


def test_rest_of_a_long_series_is_never_unpacked() -> None:
    data = nifti(np.stack([RAS] * 50, axis=-1), packed=True)
    assert load_scan(data[: len(data) - 16]).values.shape == (2, 4, 3)


def test_scaling() -> None:
    image = nib.Nifti1Image(RAS, np.eye(4))
    data = bytearray(image.to_bytes())
    header = nib.Nifti1Header(bytes(data[:348]))
    header["scl_slope"], header["scl_inter"] = 0.5, 10
    data[:348] = header.binaryblock
    np.testing.assert_allclose(load_scan(bytes(data)).values[0], np.array(FIRST) * 0.5 + 10)


def test_values_that_are_no_numbers() -> None:
    values = RAS.astype(np.float32)
    values[0, 0, 0] = np.nan
    values[1, 0, 0] = np.inf
    scan = load_scan(nifti(values))
    np.testing.assert_array_equal(scan.values[0, 3], [200, 0, 0])
    assert any("no numbers" in note for note in scan.notes)


def test_nifti_2_and_a_single_slice() -> None:
    np.testing.assert_array_equal(load_scan(nifti(RAS, kind=nib.Nifti2Image)).values[0], FIRST)
    assert load_scan(nifti(RAS[:, :, :1])).values.shape == (1, 4, 3)
    assert load_scan(nifti(RAS[:, :, 0])).values.shape == (1, 4, 3)


def test_big_endian() -> None:
    swapped = nib.Nifti1Image(RAS, np.eye(4), nib.Nifti1Header(endianness=">"))
    swapped.set_data_dtype(np.int16)
    np.testing.assert_array_equal(load_scan(swapped.to_bytes()).values[0], FIRST)


def test_colour() -> None:
    values = np.zeros((3, 4, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    values["R"], values["G"] = RAS % 251, 7
    scan = load_scan(nifti(values))
    assert scan.is_colour
    np.testing.assert_array_equal(scan.values[0, ..., 0], np.array(FIRST) % 251)


def test_unknown_orientation_is_said() -> None:
    image = nib.Nifti1Image(RAS, None)
    assert any("orientation" in note for note in load_scan(image.to_bytes()).notes)


def test_refusals() -> None:
    refused(nifti(RAS.astype(np.complex64)), "complex")
    refused(nifti(RAS)[:-1], "cut short")
    refused(nifti(RAS, packed=True)[:-20], "cut short")
    refused(nib.Nifti1Pair(RAS, np.eye(4)).header.binaryblock, "pair")
    refused(nib.AnalyzeImage(RAS, np.eye(4)).header.binaryblock, "Analyze")
    refused(gzip.compress(b"hello" * 200), "gzip", "no NIfTI")
    refused(gzip.compress(b"\0" * 10_000_000), "no NIfTI")


def test_gzip_bomb_is_refused_by_its_header() -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((15000, 2000, 15000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    refused(gzip.compress(header.binaryblock + b"\0" * 10_000_000), "split")


@pytest.mark.usefixtures("in_this_process")
def test_gzip_bomb_is_refused_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.scans.limits.MAX_INFLATED_BYTES", 2**20)
    assert load_scan(nifti(np.zeros((64, 64, 100), np.int16), packed=True)).frame_count == 100
    refused(nifti(np.zeros((64, 64, 100), np.float64), packed=True), "unpacks to more than 1 MB")


def test_spacing_that_cannot_be_right_is_unknown() -> None:
    scan = load_scan(nifti(stored("RAS"), affine("RAS", (1, 21, 1))))
    assert scan.spacing is None and any("taken as unknown" in note for note in scan.notes)
