"""Studies as a cohort, and what purification did in the regions that its files outline."""

import gzip
import io
import json
import re
import zipfile
from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from core.fidelity.lesion import VERDICTS
from core.fidelity.region import Region
from core.report.cases import AuditSettings, Case, examined_case
from core.report.cohort import sample_cohort, study_cohort
from core.report.naming import without_names
from core.report.regions import NUMBERS, OutlineFile, measured_region, outlined_region, region_numbers
from core.report.rendering import Pictures, cases_csv, figures, region_words
from core.report.store import CaseStore, run_record
from core.scans import ScanError, load_scan, sample_scans
from tests.report.test_rendering import CASE, page, png

SETTINGS = AuditSettings(seeds=2)
GAP, SPACING, PLACE = 5.0, 1.5, "1.2.3.4"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
# The one in the middle of their places is neither first, nor in the middle by its name.
PLACES = {"a.dcm": 2, "b.dcm": 0, "c.dcm": 1}


def a_slice(place: int, series: str = "1.2.3", sample: int = 0) -> bytes:
    ds = pydicom.dcmread([own.path for own in sample_scans() if own.path.name.startswith("tumour")][sample])
    ds.ImageType, ds.SeriesDescription = ["ORIGINAL", "PRIMARY"], "axial"
    ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.FrameOfReferenceUID = series, generate_uid(), PLACE
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, GAP * place], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [SPACING, SPACING], GAP
    return saved(ds)


def saved(ds: Dataset) -> bytes:
    stream = io.BytesIO()
    ds.save_as(stream)
    return stream.getvalue()


def item(**tags: object) -> list[Dataset]:
    ds = Dataset()
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return [ds]


def structures(reference: str = PLACE, radius: float = 12) -> bytes:
    """An RTSTRUCT with a disc on the middle slice."""
    ds = pydicom.dcmread(io.BytesIO(a_slice(0, "1.2.9")))
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "ImagePositionPatient"):
        delattr(ds, keyword)
    ds.Modality, ds.SOPClassUID, ds.FrameOfReferenceUID = "RTSTRUCT", STRUCTURES, reference
    ds.file_meta.MediaStorageSOPClassUID = STRUCTURES
    ds.ReferencedFrameOfReferenceSequence = item(FrameOfReferenceUID=reference)
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    corners = [[SPACING * (64 + radius * np.cos(turn)), SPACING * (64 + radius * np.sin(turn)), GAP] for turn in turns]
    contour = item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=40,
                   ContourData=[f"{value:.4f}" for corner in corners for value in corner])  # fmt: skip
    ds.StructureSetROISequence = item(ROINumber=1, ReferencedFrameOfReferenceUID=reference)
    ds.ROIContourSequence = item(ReferencedROINumber=1, ContourSequence=contour)
    return saved(ds)


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.fixture(scope="module")
def study() -> dict[str, bytes]:
    return {name: a_slice(place) for name, place in PLACES.items()}


def test_the_files_of_a_series_are_one_scan_by_its_middle_slice(study: dict[str, bytes]) -> None:
    other = a_slice(0, "1.2.4", sample=1)
    for files in ([("study.zip", packed(study)), ("other.dcm", other)], [*study.items(), ("other.dcm", other)]):
        sources = study_cohort(files)
        assert [source.files for source in sources] == [3, 1] and len({source.sha256 for source in sources}) == 2
        assert [source.name for source in sources] == ["a.dcm and 2 more", "other.dcm"]
        scan = load_scan(sources[0].read())
        np.testing.assert_array_equal(scan.frame(), load_scan(study["c.dcm"]).frame())
        assert scan.frame_count == 3
    loose = study_cohort([*study.items()])[0]
    assert loose.sha256 == study_cohort([("study.zip", packed(study))])[0].sha256


def test_what_is_no_dicom_stays_alone() -> None:
    sources = study_cohort([("a.txt", b"no scan"), ("b.txt", b"no scan either"), ("cut.dcm", bytes(128) + b"DICM")])
    assert [source.files for source in sources] == [1, 1, 1]


def test_files_that_outline_are_no_scans(study: dict[str, bytes]) -> None:
    (source,) = study_cohort([("study.zip", packed(study | {"rt.dcm": structures()}))])
    assert source.files == 3 and [file.name for file in source.outlines] == ["rt.dcm"]
    with pytest.raises(ScanError, match="hold none"):
        study_cohort([("rt.dcm", structures())])


def test_an_outline_is_taken_from_the_file_that_was_made_on_the_scan(study: dict[str, bytes]) -> None:
    def file(reference: str | None, content: bytes) -> OutlineFile:
        return OutlineFile("rt.dcm", lambda: content, "", reference)

    scan = load_scan(packed(study))
    good = file(None, structures())
    bad = [file(None, b"no outline"), file("another place", structures()), file(None, structures("1.2.5"))]
    region = outlined_region([*bad, good], scan, 1)
    assert region is not None and region.source == "file" and region.mask[64, 64] and not region.mask[64, 90]
    assert outlined_region([good], scan, 0) is None and outlined_region(bad, scan, 1) is None


def nifti(values: np.ndarray) -> bytes:
    return nib.Nifti1Image(values, np.diag([-2.0, -2.0, 5.0, 1.0])).to_bytes()


def test_a_nifti_mask_outlines_the_scan_that_is_named_as_it_is() -> None:
    grey = np.random.default_rng(0).integers(0, 900, (24, 24, 3)).astype(np.int16)
    mask = np.zeros(grey.shape, np.uint8)
    mask[8:14, 8:12, 1] = 2
    pair = {"case-07_t1.nii": nifti(grey), "case-07_seg.nii": nifti(mask)}
    other = {"case-070_t1.nii.gz": gzip.compress(nifti(grey + 1))}
    (alone,) = study_cohort([("t1.nii", nifti(grey)), ("mask.nii", nifti(mask))])
    region = outlined_region(alone.outlines, load_scan(alone.read()), 1)
    assert region is not None and region.source == "file" and region.mask.sum() == 24
    for files in ([*(pair | other).items()], [("all.zip", packed(pair | other))]):
        first, second = study_cohort(files)
        assert [file.name for file in first.outlines] == ["case-07_seg.nii"] and not second.outlines
    with pytest.raises(ScanError, match="hold none"):
        study_cohort([("seg.nii", nifti(mask))])


def test_a_mask_that_was_cut_outlines_nothing_and_refuses_nobody() -> None:
    grey = np.random.default_rng(0).integers(0, 900, (24, 24, 3)).astype(np.int16)
    mask = np.zeros(grey.shape, np.int16)
    mask[8:14, 8:12, 0] = 1
    for cut in (1, 2):
        files = [("case-07_t1.nii", nifti(grey)), ("case-07_seg.nii", nifti(mask)[:-cut])]
        assert [source.outlines for source in study_cohort(files)] == [(), ()]


def test_a_region_moves_with_its_outline_to_another_scan(bundle) -> None:
    grey = np.random.default_rng(0).integers(0, 900, (24, 24, 3)).astype(np.int16)
    mask = np.zeros(grey.shape, np.uint8)
    mask[8:14, 8:12, 1] = 1
    scans = [("case-01_t1.nii", nifti(grey)), ("case-02_t1.nii", nifti(grey + 1))]
    first, second = (study_cohort([*scans, (f"case-0{number}_seg.nii", nifti(mask))]) for number in (1, 2))
    assert run_record(first, bundle, SETTINGS)["cohort"] != run_record(second, bundle, SETTINGS)["cohort"]


def test_of_a_patient_cd_the_viewer_is_left_out(study: dict[str, bytes]) -> None:
    jar = packed({"Main.class": b"\xca\xfe\xba\xbe"})
    rest = {"DICOMDIR": b"x", "viewer/start.exe": b"MZ\x90", "viewer/lib.jar": jar, "log.gz": gzip.compress(b"started")}
    (source,) = study_cohort([("cd.zip", packed(rest | study))])
    assert source.files == 3 and source.left_out == 3
    assert load_scan(source.read()).frame_count == 3
    with pytest.raises(ScanError, match="archive"):
        study_cohort([("files.zip", packed({"inner.jar": jar, "a.txt": b"text"}))])


def test_what_is_left_out_is_counted_by_a_scan_though_an_outline_comes_first(study: dict[str, bytes]) -> None:
    (source,) = study_cohort([("cd.zip", packed({"0.dcm": structures(), "start.exe": b"MZ\x90"} | study))])
    assert source.files == 3 and source.left_out == 1 and [file.name for file in source.outlines] == ["0.dcm"]


def test_what_cannot_be_unpacked_is_told_with_its_reason(study: dict[str, bytes]) -> None:
    cut = gzip.compress(study["c.dcm"])[:10] + b"\xff" * 40
    rest = {"viewer/start.exe": b"MZ\x90", "more.zip": packed(study), "c.dcm.gz": cut}
    before, entry, after = packed(rest | study | {"locked.dcm": b"x"}).rpartition(b"PK\x01\x02")  # the last one listed
    locked = b"".join((before, entry, after[:4], bytes([after[4] | 1]), after[5:]))
    (source,) = study_cohort([("cd.zip", locked)])
    assert source.files == 3 and source.left_out == 4 and len(source.not_unpacked) == 3
    reasons = " ".join(source.not_unpacked)
    assert (
        "protected by a password" in reasons and "another archive ('more.zip')" in reasons and "'c.dcm.gz'" in reasons
    )


def test_what_cannot_be_measured_is_said_in_the_numbers() -> None:
    mask = np.zeros((128, 128), bool)
    mask[64, 64] = True
    image = np.full((1, 128, 128), 0.5, np.float32)
    region = Region(mask, 0, "ellipse")
    numbers = region_numbers(region, measured_region(region, image, image, None))
    assert set(numbers) == {"source", "problem"} and "too small" in numbers["problem"]
    assert region_words(Case("a", "a", region=numbers)) == "can’t be measured"
    assert region_words(Case("a", "a")) == ""


def test_a_measured_region_is_told_beside_its_pictures(bundle) -> None:
    run = run_record(sample_cohort(), bundle, SETTINGS)
    region = {"verdict": "blurred", "source": "file", "contrast": 0.8, "appeared": 0, "vanished": 14}
    case = replace(CASE, region=region)
    text = re.sub(r"\s+", " ", page([case], run, {case.sha256: Pictures(png(), png(), png())}))
    assert "; nothing appeared, 14 pixels vanished." in text


@pytest.mark.slow
def test_a_case_says_what_purification_did_in_its_region(
    study: dict[str, bytes], bundle, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path))
    sources = study_cohort([("study.zip", packed(study | {"rt.dcm": structures()}))])
    case = examined_case(sources[0], bundle, SETTINGS)
    assert case.region is not None and set(case.region) <= set(NUMBERS)
    assert case.region["verdict"] in VERDICTS and case.region["source"] == "file" and case.region["pixels"] > 200
    assert case.region["verdict"] in region_words(case)
    store = CaseStore(sources, bundle, SETTINGS)
    store.keep(case)
    assert CaseStore(sources, bundle, SETTINGS).known == {0: case}
    run = run_record(sources, bundle, SETTINGS)
    assert run["cohort"] != run_record(study_cohort([("study.zip", packed(study))]), bundle, SETTINGS)["cohort"]
    assert "region_verdict" in cases_csv([case], run).partition("\n")[0]
    assert figures([case])["regions"] == {case.region["verdict"]: 1}
    text = page(without_names({0: case}), run)
    assert "Region of interest" in text and region_words(case) in text and "a.dcm" not in text
    assert "Region of interest" not in page([Case("b", "b", problem="'b' is empty.")], run)
    json.dumps(case.numbers())
