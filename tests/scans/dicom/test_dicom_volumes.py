"""DICOM of four dimensions: one volume is shown, and each can be reached."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from builders import dataset, dicom, picture, saved, zipped
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from core.scans import ScanError, list_series, load_scan

AXES = [1, 0, 0, 0, 1, 0]
SLICES, GAP = 5, 4.0


def item(**tags: object) -> Dataset:
    found = Dataset()
    for keyword, value in tags.items():
        setattr(found, keyword, value)
    return found


def value(volume: int, place: int) -> int:
    return 100 * volume + place


def one_slice(volume: int, place: int, **tags: object) -> bytes:
    return dicom(
        np.full((4, 4), value(volume, place), np.int16),
        **{"SeriesInstanceUID": "1.2.3", "ImagePositionPatient": [0, 0, GAP * place], "ImageOrientationPatient": AXES}
        | {"PixelSpacing": [1, 1], "SliceThickness": 1}
        | tags,
    )


def check(data: bytes, volumes: int = 2) -> None:
    """Each volume holds its own slices in the order of their places."""
    for volume in range(volumes):
        scan = load_scan(data, "four.zip", volume=volume)
        assert scan.values[:, 0, 0].tolist() == [value(volume, place) for place in range(SLICES)]
        assert (scan.volume, scan.volume_count, scan.default_frame) == (volume, volumes, SLICES // 2)
        assert scan.spacing is not None and scan.spacing[0] == GAP
        assert any(f"volume {volume + 1} of {volumes}" in note for note in scan.notes)
    with pytest.raises(ScanError, match=f"no volume {volumes}"):
        load_scan(data, "four.zip", volume=volumes)
    (series,) = list_series(data)
    assert (series.slices, series.volumes) == (SLICES, volumes)


# Tags of a slice by volume and place; numbers run through the volumes, or through the places.
KINDS = {
    "echo time": lambda volume, place: {"EchoTime": 15 + 75 * volume, "InstanceNumber": place},
    "echo number": lambda volume, place: {"EchoNumbers": volume + 1, "InstanceNumber": 2 * place + volume},
    "b-value": lambda volume, place: {"DiffusionBValue": 1000.0 * volume, "InstanceNumber": 10 * (1 - volume) + place},
    "sequence name": lambda volume, place: {"SequenceName": f"*ep_b{volume}000", "InstanceNumber": 5 * volume + place},
    "time": lambda volume, place: {"TemporalPositionIdentifier": volume + 1, "InstanceNumber": 2 * place + volume},
    "acquisition": lambda volume, place: {"AcquisitionNumber": volume + 1},
    "trigger time": lambda volume, place: {
        "TriggerTime": 30 * volume + place % 2,
        "InstanceNumber": 2 * place + volume,
    },
    "component": lambda volume, place: {"ImageType": ["ORIGINAL", "PRIMARY", "MP"[volume]], "InstanceNumber": place},
    "number alone": lambda volume, place: {"InstanceNumber": SLICES * volume + place},
    "name alone": lambda volume, place: {"InstanceNumber": place},
}


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_two_volumes(kind: str) -> None:
    check(zipped({
        f"{volume}-{place}": one_slice(volume, place, **KINDS[kind](volume, place))
        for volume in (1, 0) for place in (3, 0, 4, 2, 1)
    }))  # fmt: skip


def test_private_diffusion_weighting() -> None:
    files = {}
    for volume in (0, 1):
        for place in range(SLICES):
            ds = dcmread(io.BytesIO(one_slice(volume, place, InstanceNumber=20 * (1 - volume) + place)))
            ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(1000 * volume))
            files[f"{volume}{place}"] = saved(ds)
    check(zipped(files))


def test_a_volume_that_lacks_a_slice_keeps_the_others_whole() -> None:
    files = {
        f"{volume}{place}": one_slice(volume, place, EchoTime=10 + volume, InstanceNumber=place)
        for volume in (0, 1) for place in range(SLICES) if (volume, place) != (0, 2)
    }  # fmt: skip
    data = zipped(files)
    assert load_scan(data).values[:, 0, 0].tolist() == [0, 1, 3, 4]
    assert load_scan(data, volume=1).values[:, 0, 0].tolist() == [100, 101, 102, 103, 104]


def test_without_places_numbers_tell_the_slices() -> None:
    place = {"ImagePositionPatient": [], "ImageOrientationPatient": []}
    data = zipped({
        f"{volume}-{number}": one_slice(volume, number, EchoTime=10 + volume, InstanceNumber=number, **place)
        for volume in (0, 1) for number in range(SLICES)
    })  # fmt: skip
    assert load_scan(data, volume=1).values[:, 0, 0].tolist() == [value(1, place) for place in range(SLICES)]


def test_frames_at_one_place_are_a_cine_and_no_volumes() -> None:
    frames = {f"{number}": one_slice(0, 0, InstanceNumber=number, TriggerTime=30 * number) for number in range(4)}
    scan = load_scan(zipped(frames))
    assert (scan.frame_count, scan.volume_count) == (4, 1)


def test_one_place_with_two_echoes_is_two_volumes() -> None:
    data = zipped({f"{volume}": one_slice(volume, 0, EchoTime=10 + volume) for volume in (0, 1)})
    assert [load_scan(data, volume=volume).values.max() for volume in (0, 1)] == [0, 100]


def test_a_slice_that_was_taken_again_is_left_out() -> None:
    files = {f"{place}": one_slice(0, place, InstanceNumber=place) for place in range(SLICES)}
    files["again"] = one_slice(1, 2, InstanceNumber=99)
    scan = load_scan(zipped(files))
    assert scan.values[:, 0, 0].tolist() == [0, 1, 2, 3, 4] and scan.volume_count == 1
    assert any("a place that another has" in note for note in scan.notes)


def _frame(volume: int, place: int, kind: str) -> Dataset:
    groups = {"PlanePositionSequence": Sequence([item(ImagePositionPatient=[0, 0, GAP * place])])}
    if kind == "diffusion":
        groups["MRDiffusionSequence"] = Sequence([item(DiffusionBValue=1000.0 * volume)])
    if kind == "echo":
        groups["MREchoSequence"] = Sequence([item(EffectiveEchoTime=10.0 + 80 * volume)])
    if kind == "time":
        groups["FrameContentSequence"] = Sequence([item(TemporalPositionIndex=volume + 1)])
    if kind == "dimension":
        groups["FrameContentSequence"] = Sequence([item(DimensionIndexValues=[1, place + 1, volume + 1])])
    return item(**groups)


def _enhanced(kind: str, by_place: bool) -> bytes:
    order = [(volume, place) for volume in (0, 1) for place in range(SLICES)]
    order = sorted(order, key=lambda pair: pair[1]) if by_place else order
    return dicom(
        np.stack([np.full((4, 4), value(*pair), np.int16) for pair in order]),
        PerFrameFunctionalGroupsSequence=Sequence([_frame(*pair, kind) for pair in order]),
        SharedFunctionalGroupsSequence=Sequence([item(
            PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=AXES)]),
            PixelMeasuresSequence=Sequence([item(PixelSpacing=[1, 1], SliceThickness=1)]),
        )]),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["diffusion", "echo", "time", "dimension", "nothing"])
@pytest.mark.parametrize("by_place", [False, True])
def test_enhanced_multi_frame_of_two_volumes(kind: str, by_place: bool) -> None:
    check(_enhanced(kind, by_place))


def test_nuclear_medicine_counts_slices_and_times() -> None:
    order = [(volume, place) for volume in (0, 1) for place in range(SLICES)]
    data = dicom(
        np.stack([np.full((4, 4), value(*pair), np.int16) for pair in order]),
        Modality="NM",
        PixelSpacing=[1, 1],
        SpacingBetweenSlices=GAP,
        SliceVector=[place + 1 for _, place in order],
        TimeSlotVector=[volume + 1 for volume, _ in order],
    )
    check(data)


def test_frames_without_places_are_told_by_how_many_times_there_are() -> None:
    frames = np.stack([np.full((4, 4), value(volume, place), np.int16) for volume in (0, 1) for place in range(SLICES)])
    check(dicom(frames, PixelSpacing=[1, 1], SliceThickness=GAP, NumberOfTemporalPositions=2))


def test_numbers_that_images_without_a_place_share_make_no_volumes() -> None:
    files = {f"{view}{number}": dicom(np.full((4, 4), number, np.int16), InstanceNumber=number, Modality="CR")
             for view in "ab" for number in (1, 2)}  # fmt: skip
    scan = load_scan(zipped(files))
    assert scan.values[:, 0, 0].tolist() == [1, 1, 2, 2] and scan.volume_count == 1


# A Siemens mosaic


def _csa(version: int, **tags: list[str]) -> bytes:
    """A CSA header of either version with these tags and their values."""
    pieces = [b"SV10\4\3\2\1"] if version == 2 else []
    pieces.append(struct.pack("<2i", len(tags), 77))
    first = len(next(iter(tags.values())))
    for name, values in tags.items():
        pieces.append(struct.pack("<64si4siii", name.encode(), len(values), b"IS", 6, len(values), 77))
        for text in values:
            data = text.encode() + b"\0"
            length = len(data)
            lengths = (length, length, 77, length) if version == 2 else (length + first, 0, 0, 0)
            pieces += [struct.pack("<4i", *lengths), data + b"\0" * (-length % 4)]
    return b"".join(pieces)


def _mosaic(volume: int = 0, **tags: object) -> Dataset:
    """Five tiles of 4 × 6 pixels in a square of nine."""
    tiles = np.zeros((3, 3, 4, 6), np.int16)
    for place in range(SLICES):
        tiles[place // 3, place % 3] = value(volume, place)
    return dataset(
        tiles.swapaxes(1, 2).reshape(12, 18),
        **{"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], "SeriesInstanceUID": "1.2.3"}
        | {"ImagePositionPatient": [0, 0, 7], "ImageOrientationPatient": AXES, "PixelSpacing": [1, 1]}
        | {"SpacingBetweenSlices": GAP, "InstanceNumber": volume + 1}
        | tags,
    )


def _with_csa(ds: Dataset, data: bytes) -> Dataset:
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", data + b"\0" * (len(data) % 2))
    return ds


@pytest.mark.parametrize("version", [1, 2])
def test_mosaic_by_its_csa_header(version: int) -> None:
    for up in (1, -1):
        header = _csa(version, Other=["x"], SliceNormalVector=["0", "0", str(up)], NumberOfImagesInMosaic=["5"])
        scan = load_scan(saved(_with_csa(_mosaic(), header)))
        assert scan.values.shape == (SLICES, 4, 6) and scan.plane == "axial" and scan.spacing == (GAP, 1, 1)
        assert scan.values[:, 0, 0].tolist() == [0, 1, 2, 3, 4][::up]
        assert any("mosaic" in note and "5 slices" in note for note in scan.notes)


def test_mosaic_by_a_private_element() -> None:
    ds = _mosaic()
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", SLICES)
    assert load_scan(saved(ds)).frame_count == SLICES


def _measured(matrix: list[int]) -> Dataset:
    """A mosaic that says how wide its tiles are, and not how many there are."""
    ds = _mosaic(AcquisitionMatrix=matrix)
    pixels = np.frombuffer(ds.PixelData, "<i2").reshape(12, 18) + np.arange(18) % 2
    pixels[4:8, 12:] = pixels[8:] = 0
    ds.PixelData = pixels.astype("<i2").tobytes()
    return ds


def test_mosaic_by_what_was_measured() -> None:
    for matrix in ([4, 0, 0, 6], [0, 6, 4, 0]):
        assert load_scan(saved(_measured(matrix))).frame_count == SLICES


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_a_compressed_mosaic_is_divided_as_another_is(syntax: uid.UID) -> None:
    ds = _measured([4, 0, 0, 6])
    whole = load_scan(saved(ds)).values
    if syntax == uid.JPEG2000Lossless:
        stored = np.frombuffer(ds.PixelData, "<u2").reshape(12, 18)
        ds.PixelData = encapsulate([picture(stored, "JPEG2000", no_jp2=True)])
        ds["PixelData"].is_undefined_length, ds.PixelRepresentation = True, 0
        ds.file_meta.TransferSyntaxUID = syntax
    else:
        ds.compress(syntax)
    scan = load_scan(saved(ds))
    np.testing.assert_array_equal(scan.values, whole)
    assert any(f"{SLICES} slices" in note for note in scan.notes)
    assert list_series(saved(ds))[0].slices == SLICES


def test_mosaic_that_does_not_say_how_many() -> None:
    for ds in (_mosaic(), _with_csa(_mosaic(), b"SV10" + b"\xff" * 99), _with_csa(_mosaic(), b"\x02\0\0\0" * 30)):
        scan = load_scan(saved(ds))
        assert scan.frame_count == 1 and any("mosaic" in note and "whole" in note for note in scan.notes)


@pytest.mark.parametrize("placed", [True, False])
def test_mosaics_in_time_are_volumes(placed: bool) -> None:
    place = {} if placed else {"ImagePositionPatient": []}
    header = _csa(2, NumberOfImagesInMosaic=["5"])
    check(zipped({f"{time}": saved(_with_csa(_mosaic(time, **place), header)) for time in (1, 0)}))
