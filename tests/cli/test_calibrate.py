"""calibrate, and --profile where thresholds decide."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from core.cli import main
from core.defence.profile import fit_profile, write_profile
from core.defence.profile_file import read_profile
from core.report.site_scans import folder_files, site_scans
from core.report.sources import Source
from core.scans import load_scan
from tests.defended import NAME, defended_bundle

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def tiny(monkeypatch):
    """A bundle that answers at once, in the place of the bundle that is asked for."""
    bundle = defended_bundle()
    limits = replace(bundle.limits[NAME], thresholds={"mae_error": 9.0, "amv": 9.0, "instability": 0.5})
    bundle = replace(bundle, limits={NAME: limits})
    monkeypatch.setattr("core.cli.options.load_bundle", lambda *_: bundle)
    return bundle


@pytest.fixture
def ward(tmp_path):
    """25 scans as PNG, one of them twice, one in colour, and a text file."""
    folder, random = tmp_path / "ward", np.random.default_rng(0)
    (folder / "more").mkdir(parents=True)
    for index in range(25):
        place = folder / ("more" if index % 2 else "") / f"Doe^John-{index}.png"
        Image.fromarray(random.integers(0, 256, (32, 32), np.uint8)).save(place)
    (folder / "again.png").write_bytes((folder / "Doe^John-0.png").read_bytes())
    Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / "photo.png")
    (folder / "notes.txt").write_text("no scan")
    return folder


def calibrated(capsys, folder, out):
    status = main(["calibrate", str(folder), "--out", str(out), "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out), printed.err


def test_a_folder_becomes_a_profile_of_golden_shape(capsys, tiny, ward, tmp_path):
    status, record, complaints = calibrated(capsys, ward, tmp_path / "profile.json")
    assert status == 0
    assert set(record) == set(json.loads((GOLDEN / "calibrate.json").read_text()))
    counts = ("files", "scans", "refused", "duplicates", "unreadable", "same_volume", "made_here")
    assert [record[name] for name in counts] == [28, 25, 1, 1, 1, 0, 0]
    assert "notes.txt" in complaints
    profile = read_profile(tmp_path / "profile.json")
    assert (profile.scans, profile.thresholds) == (25, record["thresholds"])
    assert "Doe" not in (tmp_path / "profile.json").read_text()


def test_of_many_files_that_are_no_scans_the_first_are_named(capsys, tiny, ward, tmp_path):
    for number in range(4):
        (ward / f"letter-{number}.txt").write_text("no scan")
    _, record, complaints = calibrated(capsys, ward, tmp_path / "profile.json")
    assert record["unreadable"] == 5 and complaints.count("\n") == 1
    assert "5 files" in complaints and "'letter-0.txt', 'letter-1.txt', 'letter-2.txt'" in complaints
    assert "letter-3" not in complaints and "notes" not in complaints


def test_private_thresholds_say_that_they_promise_no_bound(capsys, tiny, ward, tmp_path):
    out = tmp_path / "profile.json"
    assert main(["calibrate", str(ward), "--out", str(out), "--private", "2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["epsilon"] == read_profile(out).epsilon == 2.0 and "isn’t promised" in record["promise"]
    with pytest.raises(SystemExit):
        main(["calibrate", str(ward), "--out", str(out), "--private", "0"])
    assert "'0' is not a number above 0" in capsys.readouterr().err


def test_too_few_scans_write_nothing(capsys, tiny, ward, tmp_path):
    assert main(["calibrate", str(ward / "more"), "--out", str(tmp_path / "profile.json")]) == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("12 scans are too few") and "\n" not in complaint
    assert not (tmp_path / "profile.json").exists()


@pytest.mark.parametrize("folder", ["none", "empty"])
def test_no_scans_at_all_give_one_sentence(capsys, tiny, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert main(["calibrate", str(tmp_path / folder), "--out", str(tmp_path / "profile.json")]) == 2
    assert capsys.readouterr().err.strip().endswith("scans.")


def test_examine_decides_by_the_profile_and_says_so(capsys, tiny, ward, tmp_path):
    calibrated(capsys, ward, tmp_path / "profile.json")
    words = ["examine", str(ward / "Doe^John-0.png"), "--json"]
    main(words)
    before = json.loads(capsys.readouterr().out)
    assert main([*words, "--profile", str(tmp_path / "profile.json")]) == 0
    after = json.loads(capsys.readouterr().out)
    assert before["profile"] is None
    assert after["profile"]["scans"] == 25 and "90 % confidence" in after["profile"]["promise"]
    assert after["thresholds"] == read_profile(tmp_path / "profile.json").thresholds != before["thresholds"]
    assert after["scores"] == before["scores"]


def test_evaluate_decides_by_the_profile_on_calibration_scans_too(capsys, tiny, tmp_path, monkeypatch):
    scores = {name: np.zeros(60) for name in tiny.limits[NAME].thresholds}
    group = fit_profile(scores, tiny, NAME).groups["flagged"]
    none = replace(group, thresholds=dict.fromkeys(group.thresholds, 10.0))
    profile = replace(fit_profile(scores, tiny, NAME), groups={"flagged": none})
    (tmp_path / "profile.json").write_text(write_profile(profile))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32), np.uint8)
    np.savez(tmp_path / "data.npz", image=images, label=[0, 1, 0, 1], split=[1] * 4)
    words = ["evaluate", "--data", str(tmp_path / "data.npz"), "--json", "--profile", str(tmp_path / "profile.json")]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["flagged_clean"] == 0
    assert report["settings"]["profile"]["scans"] == 60
    assert report["settings"]["thresholds"] == profile.thresholds


@pytest.mark.parametrize("content", ["{}", "nothing", None])
def test_a_wrong_profile_gives_one_sentence_and_status_2(capsys, tiny, ward, tmp_path, content):
    if content is not None:
        (tmp_path / "wrong.json").write_text(content)
    words = ["examine", str(ward / "again.png"), "--profile", str(tmp_path / "wrong.json")]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert not printed.out and printed.err.count("\n") == 1


def test_slices_of_one_series_count_once_by_the_middle_one(tiny, sample_files, tmp_path):
    series = []
    for index, file in enumerate(sample_files[:3]):
        ds = dcmread(file)
        ds.SeriesInstanceUID = "1.2.3"
        # What Purescan wrote is told by its description; a site's scan has none.
        ds.ImageType, ds.SeriesDescription = ["ORIGINAL", "PRIMARY"], "axial"
        ds.save_as(tmp_path / f"slice-{index + 9}.dcm")
        series.append(load_scan(tmp_path / f"slice-{index + 9}.dcm"))
    assert len({scan.series for scan in series}) == 1
    files = folder_files(tmp_path)
    assert [source.name for source in files] == ["slice-9.dcm", "slice-10.dcm", "slice-11.dcm"]
    *_, found = site_scans(files, tiny, NAME)
    assert (found.scans, found.same_volume, found.settled) == (1, 2, 3)
    *_, alone = site_scans([Source("middle.dcm", "", (tmp_path / "slice-10.dcm").read_bytes)], tiny, NAME)
    assert alone.scores == found.scores


def test_what_purescan_attacked_is_left_out(tiny):
    attacked = next((Path(__file__).parents[2] / "assets" / "cohort").glob("*.dcm"))
    *_, found = site_scans([Source(attacked.name, "", attacked.read_bytes)], tiny, NAME)
    assert (found.scans, found.made_here) == (0, 1)
