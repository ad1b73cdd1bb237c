"""Outlines of DICOM SEG, RTSTRUCT and NIfTI masks, built by hand and laid on scans built by hand."""

from collections.abc import Callable
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from builders import dataset as image
from builders import dicom, nifti, saved, zipped
from pydicom.dataset import Dataset
from pydicom.uid import UID

from core.scans import Scan, ScanError, load_scan
from core.scans.loading import begin_outlines
from core.scans.outlines.outline import Outline

FRAMES, HEIGHT, WIDTH = 4, 10, 12
SPACING, GAP = (2.0, 0.5), 5.0
CORNER = np.array([-20.0, 30.0, 7.0])
PLACE, OTHER_PLACE = "1.2.3.4", "1.2.3.5"
SEG, LABELS, STRUCTURES = (UID(f"1.2.840.10008.5.1.4.1.1.{end}") for end in ("66.4", "66.7", "481.3"))
BLOCK = np.s_[1:3, 2:6, 3:9]


@pytest.fixture(scope="module")
def series() -> Scan:
    """Four axial slices, 5 mm apart."""
    pixels = np.arange(FRAMES * HEIGHT * WIDTH, dtype=np.uint16).reshape(FRAMES, HEIGHT, WIDTH)
    files = {
        f"{frame}.dcm": dicom(
            pixels[frame],
            ImagePositionPatient=[*(CORNER + [0, 0, GAP * frame])],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=list(SPACING),
            SeriesInstanceUID="1.2.3",
            FrameOfReferenceUID=PLACE,
        )
        for frame in range(FRAMES)
    }
    return load_scan(zipped(files), "series.zip")


def block() -> np.ndarray:
    mask = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    mask[BLOCK] = True
    return mask


def outlines(content: bytes, scan: Scan, name: str = "outline") -> dict[int, np.ndarray]:
    """Number → (F, H, W) bool."""
    found = {}
    for outline in begin_outlines(content, scan, name).outlined():
        assert isinstance(outline, Outline)
        found[outline.number] = np.zeros(scan.values.shape[:3], bool)
        for frame, mask in outline.masks.items():
            assert mask.any()
            found[outline.number][frame] = mask
    return found


def sequence(**tags: object) -> list[Dataset]:
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return [item]


def seg(
    frames: list[tuple[int, np.ndarray, np.ndarray]],
    kind: str = "BINARY",
    spacing: tuple[float, float] = SPACING,
    reference: str = PLACE,
    across: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
) -> bytes:
    """A DICOM SEG of frames (segment, position, values)."""
    values = np.stack([values for *_, values in frames])
    ds = image(values.astype(np.uint8))
    ds.Modality, ds.SegmentationType, ds.FrameOfReferenceUID = "SEG", kind, reference
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = LABELS if kind == "LABELMAP" else SEG
    ds.MaximumFractionalValue = 200
    if kind == "BINARY":
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
        packed = np.packbits(values.astype(bool).ravel(), bitorder="little").tobytes()
        ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds.SharedFunctionalGroupsSequence = sequence(
        PlaneOrientationSequence=sequence(ImageOrientationPatient=list(across)),
        PixelMeasuresSequence=sequence(PixelSpacing=list(spacing), SliceThickness=GAP),
    )
    ds.PerFrameFunctionalGroupsSequence = [
        sequence(
            PlanePositionSequence=sequence(ImagePositionPatient=[*place]),
            SegmentIdentificationSequence=sequence(ReferencedSegmentNumber=number),
        )[0]
        for number, place, _ in frames
    ]
    return saved(ds)


def on_slices(number: int, mask: np.ndarray, value: int = 1) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """A frame for each slice that a segment is on, the last first."""
    held = [frame for frame in range(FRAMES) if mask[frame].any()]
    return [(number, CORNER + [0, 0, GAP * frame], mask[frame] * value) for frame in reversed(held)]


@pytest.mark.parametrize(("kind", "value"), [("BINARY", 1), ("FRACTIONAL", 150), ("LABELMAP", 1)])
def test_a_segmentation_lies_on_its_slices(series: Scan, kind: str, value: int) -> None:
    found = outlines(seg(on_slices(1, block(), value), kind), series)
    assert list(found) == [1] and np.array_equal(found[1], block())


def test_each_segment_is_an_outline(series: Scan) -> None:
    other = np.zeros_like(block())
    other[0, 0, 0:3] = True
    found = outlines(seg(on_slices(2, other) + on_slices(1, block())), series)
    assert np.array_equal(found[1], block()) and np.array_equal(found[2], other)


def test_a_segmentation_on_other_pixels_is_sampled_by_its_place(series: Scan) -> None:
    # Pixels half as high and three times as wide, which begin at the scan's third row and fourth column.
    values = np.ones((8, 2), bool)
    frame = (1, CORNER + [1.25 + 0.75, 3.0 + 0.5, GAP], values)
    expected = np.zeros_like(block())
    expected[1, 2:6, 3:9] = True
    assert np.array_equal(outlines(seg([frame], spacing=(1.0, 1.5)), series)[1], expected)


def structure_set(contours: dict[int, list[np.ndarray]], reference: str = PLACE) -> bytes:
    ds = image(np.zeros((2, 2), np.uint8))
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(ds, keyword)
    ds.Modality = "RTSTRUCT"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = STRUCTURES
    ds.ReferencedFrameOfReferenceSequence = sequence(FrameOfReferenceUID=reference)
    ds.ROIContourSequence = [
        sequence(
            ReferencedROINumber=number,
            ContourSequence=[
                sequence(
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{value:.7g}" for value in points.ravel()],
                )[0]
                for points in own
            ],
        )[0]
        for number, own in contours.items()
    ]
    return saved(ds)


def rectangle(frame: float, rows: tuple[float, float], columns: tuple[float, float]) -> np.ndarray:
    """(4, 3) mm: corners between pixels, as rows and columns count from the edge of the first one."""
    (top, bottom), (left, right) = rows, columns
    corners = ((top, left), (top, right), (bottom, right), (bottom, left))
    return np.array([CORNER + [(c - 0.5) * SPACING[1], (r - 0.5) * SPACING[0], GAP * frame] for r, c in corners])


def test_contours_are_filled_and_an_inner_one_is_a_hole(series: Scan) -> None:
    whole = [rectangle(frame, (2, 6), (3, 9)) for frame in (1, 2)]
    found = outlines(structure_set({7: [*whole, rectangle(2.2, (3, 5), (4, 6))]}), series)
    expected = block()
    expected[2, 3:5, 4:6] = False
    assert list(found) == [7] and np.array_equal(found[7], expected)


@pytest.fixture(scope="module")
def volume() -> Scan:
    values = np.arange(WIDTH * HEIGHT * FRAMES, dtype=np.int16).reshape(WIDTH, HEIGHT, FRAMES)
    return load_scan(nifti(values, np.diag([-0.5, -2.0, 5.0, 1.0])), "volume.nii")


def test_a_mask_of_the_same_file_lies_where_it_lay(volume: Scan) -> None:
    values = np.zeros((WIDTH, HEIGHT, FRAMES), np.uint8)
    values[2:5, 1:4, 2], values[7, 7, 3] = 1, 4
    found = outlines(nifti(values, np.diag([-0.5, -2.0, 5.0, 1.0]), packed=True), volume)
    seen = load_scan(nifti(values, np.diag([-0.5, -2.0, 5.0, 1.0])), "mask.nii").values
    assert list(found) == [1, 4] and all(np.array_equal(found[number], seen == number) for number in found)


def test_a_mask_of_a_dicom_series_is_turned_with_it(series: Scan) -> None:
    """As a converter writes it: columns to the right, rows to the front, the same slices."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = np.eye(4)
    affine[:3] = np.stack([[0.5, 0, 0], [0, 2.0, 0], [0, 0, 5.0], CORNER], axis=1)
    stored = block().transpose(2, 1, 0).astype(np.uint8)  # columns, rows, slices
    flipped = nib.Nifti1Image(stored, to_ras @ affine).as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    for values, own in ((stored, to_ras @ affine), (np.asarray(flipped.dataobj), flipped.affine)):
        assert np.array_equal(outlines(nifti(values, own), series)[1], block())


def test_a_scan_without_a_place_takes_a_mask_of_its_own_size(volume: Scan) -> None:
    def without(values: np.ndarray) -> bytes:
        made = nib.Nifti1Image(values, None)
        made.header["sform_code"] = made.header["qform_code"] = 0
        return made.to_bytes()

    values = np.zeros((WIDTH, HEIGHT, FRAMES), np.uint8)
    values[2:5, 1:4, 2] = 1
    scan = load_scan(without(values.astype(np.int16)), "scan.nii")
    assert scan.placement is None
    assert np.array_equal(outlines(without(values), scan)[1], scan.values > 0)
    with pytest.raises(ScanError, match="one of the two"):
        outlines(without(values), volume)
    with pytest.raises(ScanError, match="other pixels"):
        outlines(without(values[1:]), scan)


EMPTY = np.zeros((WIDTH, HEIGHT, FRAMES), np.uint8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: seg(on_slices(1, block()), reference=OTHER_PLACE), "another examination"),
        (lambda: structure_set({1: [rectangle(1, (2, 6), (3, 9))]}, OTHER_PLACE), "another examination"),
        (lambda: seg(on_slices(1, block()), across=(1, 0, 0, 0, 0, 1)), "another direction"),
        (lambda: seg([(1, CORNER + [0, 0, 400], block()[1])]), "outlines nothing"),
        (lambda: structure_set({1: [rectangle(90, (2, 6), (3, 9))]}), "outlines nothing"),
        (lambda: structure_set({1: [np.full((3, 3), 1e300)]}), "outlines nothing"),
        (lambda: dicom(np.zeros((4, 4), np.uint16)), "without outlines"),
        (lambda: nifti(EMPTY), "other pixels|outlines nothing"),
        (lambda: nifti(np.arange(EMPTY.size, dtype=np.int16).reshape(EMPTY.shape)), "picture and no mask"),
        (lambda: nifti(EMPTY + np.uint8(1), np.diag([-0.5, -2.0, 5.1, 1.0])), "other pixels"),
        (lambda: b"\x89PNG\r\n\x1a\n" + bytes(40), "holds no outline"),
        (lambda: b"", "holds no outline"),
        (lambda: seg(on_slices(1, block()))[:-30], "."),
        (lambda: structure_set({1: [rectangle(1, (2, 6), (3, 9))]})[:450], "."),
    ],
)
def test_what_is_no_outline_of_this_scan_is_said(series: Scan, content: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(ScanError, match=reason) as raised:
        outlines(content(), series, "file")
    assert str(raised.value).count("\n") == 0 and str(raised.value).endswith(".")


def test_a_scan_that_lies_nowhere_takes_no_segmentation(series: Scan) -> None:
    with pytest.raises(ScanError, match="where it lies"):
        outlines(seg(on_slices(1, block())), replace(series, placement=None))
