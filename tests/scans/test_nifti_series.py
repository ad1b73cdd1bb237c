"""Several NIfTI files that were brought together are series of one study."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from builders import nifti, picture, zipped
from outcomes import outcome

from core.scans import ScanError, Study, list_series, load_scan


def _volumes() -> dict[str, bytes]:
    """Two images of four slices, one of six at three times, a segmentation, a picture and a damaged header."""
    values = np.arange(4 * 5 * 4, dtype=np.int16).reshape(4, 5, 4)
    labels = nib.Nifti1Image(np.zeros((4, 5, 9), np.uint8), np.eye(4))
    labels.header.set_intent("label")
    return {
        "study/t2.nii.gz": nifti(values + 100, np.diag([2, 2, 5, 1]), packed=True),
        "study/t1.nii": nifti(values, np.diag([1, 1, 3, 1])),
        "study/flair.nii": nifti(np.arange(4 * 5 * 6 * 3, dtype=np.int16).reshape(4, 5, 6, 3)),
        "study/labels.nii": labels.to_bytes(),
        "preview.png": picture(np.zeros((4, 4), np.uint8)),
        "damaged.nii": nifti(values)[:42] + b"\xff\xff" + nifti(values)[44:],
    }


def test_several_files_are_series() -> None:
    data = zipped(_volumes())
    found = list_series(data)
    assert [(series.slices, series.volumes, series.plane) for series in found] == [
        (6, 3, "axial"), (4, 1, "axial"), (4, 1, "axial"), (9, 1, "axial")
    ]  # fmt: skip
    assert found[2].spacing == (5, 2, 2)
    scan = load_scan(data, "study.zip")
    assert (scan.frame_count, scan.series_index, scan.series_count, scan.volume_count) == (6, 0, 4, 3)
    assert scan.name == "study.zip" and "4 series are here; the largest that is no segmentation, of 6" in scan.notes[0]
    others = [load_scan(data, series=series) for series in (1, 2)]
    assert [int(other.values.min()) for other in others] == [0, 100]
    assert len({scan.key, *(other.key for other in others)}) == 3
    with pytest.raises(ScanError, match="no series 4"):
        load_scan(data, series=4)


def test_what_is_left_out_beside_several_files_is_said() -> None:
    for notes in (load_scan(zipped(_volumes())).left_out, list_series(zipped(_volumes()))[0].notes):
        assert notes == (
            "1 of the 5 NIfTI files hold no readable volume and were left out.",
            "1 other file was left out.",
        )
    one = {name: _volumes()[name] for name in ("study/t1.nii", "preview.png")}
    scan = load_scan(zipped(one))
    assert (scan.kind, scan.series_count, scan.left_out) == ("nifti", 1, ("1 other file was left out.",))


def test_of_several_files_the_first_that_is_whole_is_shown(tmp_path: Path) -> None:
    files = _volumes()
    for name in ("study/flair.nii", "study/t1.nii", "study/t2.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(files[name][: 400 if "flair" in name else None])
    scan = load_scan(tmp_path)
    assert (scan.series_index, scan.series_count) == (1, 3) and int(scan.values.max()) < 100
    assert "3 series are here; the largest that can be read, of 4 images" in scan.notes[0]
    with pytest.raises(ScanError, match="'flair.nii' is cut short"):
        load_scan(tmp_path, series=0)


def test_several_files_of_which_none_can_be_read() -> None:
    bad = nifti(np.zeros((4, 4, 4), np.int16))[:352]
    assert "cut short" in str(outcome(zipped({"a.nii": bad, "b.nii": bad})))


def test_a_study_of_files_lists_pictures() -> None:
    study = Study.of_files([("a.nii.gz", _volumes()["study/t2.nii.gz"]), ("b.nii", _volumes()["study/t1.nii"])])
    listed = study.begin_list().listed()
    assert len(listed) == 2 and all(series.thumbnail is not None for series in listed)
    assert [int(study.begin(series).finish().values.min()) for series in (0, 1)] == [100, 0]
