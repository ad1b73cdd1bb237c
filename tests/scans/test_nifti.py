"""NIfTI: orientation, scaling, and what is refused."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
from builders import nifti
from outcomes import outcome

from core.scans import ScanError, list_series, load_scan
from core.scans.geometry import Geometry

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


@pytest.mark.parametrize("packed", [False, True])
def test_each_of_several_volumes(packed: bool) -> None:
    data = nifti(np.stack([RAS, RAS + 1000], axis=-1), packed=packed)
    for volume in (0, 1):
        scan = load_scan(data, volume=volume)
        np.testing.assert_array_equal(scan.values[0], np.array(FIRST) + 1000 * volume)
        assert (scan.volume, scan.volume_count) == (volume, 2)
        assert any(f"volume {volume + 1} of 2" in note for note in scan.notes)
    with pytest.raises(ScanError, match="no volume 2"):
        load_scan(data, volume=2)
    assert [(series.slices, series.volumes) for series in list_series(data)] == [(2, 2)]


def test_rest_of_a_long_series_is_never_unpacked() -> None:
    data = nifti(np.stack([RAS] * 50, axis=-1), packed=True)
    assert load_scan(data[: len(data) - 16]).values.shape == (2, 4, 3)


def _slice(code: str, axis: int) -> np.ndarray:
    """One slice across an axis (left to right, back to front, feet to head), as a file with axes `code` holds it."""
    place = [1, 1, 1]
    place[axis] = 0
    kept = tuple(slice(start, start + 1) if not start else slice(None) for start in place)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(tuple("RAS")), nib.orientations.axcodes2ornt(tuple(code))
    )
    return nib.orientations.apply_orientation(RAS[kept], turn)


@pytest.mark.parametrize("code", ["RAS", "LPS", "PSR", "SAL"])
def test_one_slice_is_shown_in_its_own_plane(code: str) -> None:
    # Voxel axes of the file, of spacing 2, 3 and 5 mm.
    along = dict(zip((int(target) for target in nib.orientations.axcodes2ornt(tuple(code))[:, 0]), (2, 3, 5)))
    sagittal = load_scan(nifti(_slice(code, 0), affine(code, (2, 3, 5))))
    # Head at the top, front on the left.
    np.testing.assert_array_equal(sagittal.values[0], [[31, 21, 11, 1], [30, 20, 10, 0]])
    assert (sagittal.plane, sagittal.axes) == ("sagittal", "RIP")
    assert sagittal.spacing == (along[0], along[2], along[1])
    coronal = load_scan(nifti(_slice(code, 1), affine(code, (2, 3, 5))))
    # Head at the top, the patient's right on the left.
    np.testing.assert_array_equal(coronal.values[0], [[201, 101, 1], [200, 100, 0]])
    assert (coronal.plane, coronal.axes) == ("coronal", "AIL")
    assert coronal.spacing == (along[1], along[2], along[0])


def test_one_row_of_voxels_is_no_picture() -> None:
    refused(nifti(RAS[:1, :1, :]), "1 × 1 × 2", "no picture")


def _with_pixdim(*zooms: float, sform: bool = True) -> bytes:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.diag([2, 3, 5, 1]))
    data = bytearray(image.to_bytes())
    data[252:256] = np.array([0, int(sform)], "<i2").tobytes()  # qform_code, sform_code
    data[80:92] = np.array(zooms, "<f4").tobytes()
    return bytes(data)


@pytest.mark.parametrize(
    "zooms, sform, spacing",
    [((2, 3, 0), True, (5, 3, 2)), ((2, 3, 0), False, (1, 3, 2)), ((2, 3, -5), False, (5, 3, 2)),
     ((-2, 3, 5), True, (5, 3, 2)), ((np.nan, 3, 5), True, (5, 3, 2)), ((0, 3, 5), False, None)],
)  # fmt: skip
def test_spacing_keeps_what_can_be_right(zooms: tuple, sform: bool, spacing: tuple | None) -> None:
    scan = load_scan(_with_pixdim(*zooms, sform=sform))
    assert scan.spacing == spacing
    assert any("is taken as 1 mm" in note for note in scan.notes) == (spacing is not None and spacing[0] == 1)
    assert any("taken as unknown" in note for note in scan.notes) == (spacing is None)


def test_thick_coronal_voxels_are_square_for_the_models() -> None:
    scan = load_scan(nifti(np.zeros((197, 77, 5), np.uint8), affine("RAS", (1, 3, 1))))
    assert scan.spacing == (1, 3, 1)
    assert Geometry.of(scan.frame().shape, scan.spacing).drawn(197, 300) == (197, 231)


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


def _turned(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return affine


@pytest.mark.parametrize("degrees, plane", [(0, "axial"), (20, "axial"), (43, "oblique"), (90, "axial")])
def test_plane_of_a_volume_is_that_of_the_slices_that_are_shown(degrees: float, plane: str) -> None:
    volume = np.zeros((3, 4, 5), np.int16)
    assert load_scan(nifti(volume, _turned(degrees))).plane == plane


def test_a_volume_that_states_no_orientation_has_no_plane() -> None:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), None)
    scan = load_scan(image.to_bytes())
    assert scan.plane is None and scan.axes is None


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_of_complex_numbers_the_magnitude_is_shown(kind: type) -> None:
    scan = load_scan(nifti((3 * RAS + 4j * RAS).astype(kind)))
    np.testing.assert_allclose(scan.values, 5 * load_scan(nifti(RAS)).values, rtol=1e-6)
    assert any("magnitude" in note for note in scan.notes)
