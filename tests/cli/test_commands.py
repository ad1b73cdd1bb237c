import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core import examine
from core.cli import main
from core.cli.examine import examination_text
from core.cli.schema import SCHEMAS, checked
from core.scans import load_scan, sample_scans
from tests.conftest import SAMPLES
from tests.scans.builders import dicom

GOLDEN = Path(__file__).parent / "golden"


def answer(capsys, *words):
    status = main([*map(str, words), "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out), printed.err


def shape(value):
    """Keys, all the way down, of what a command printed."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    return None


@pytest.mark.parametrize("command", SCHEMAS)
def test_golden_examples_are_what_the_schema_declares(command):
    checked(command, json.loads((GOLDEN / f"{command.replace(' --', '-').replace(' ', '-')}.json").read_text()))


@pytest.mark.slow
def test_examine_prints_the_golden_shape(capsys, sample_files):
    status, record, _ = answer(capsys, "examine", sample_files[0])
    assert status == 0
    golden = json.loads((GOLDEN / "examine.json").read_text())
    assert shape(record) == shape(golden) | {"seconds": shape(record["seconds"])}


def test_examine_says_in_words_that_an_answer_stands():
    golden = json.loads((GOLDEN / "examine.json").read_text())
    usual, borderline = examination_text(golden), examination_text(golden | {"stands": True})
    assert usual.endswith("flagged by instability; altered by amv, agreement; purified at t* = 60")
    assert borderline == usual + "; borderline, so its own answer stands"


def test_a_region_is_told_where_nothing_is_detected_too():
    golden = json.loads((GOLDEN / "examine.json").read_text())
    rests = {"inside": 0.42, "size": 0.1, "of": "body", "method": "integrated-gradients"}
    text = examination_text(golden | {"thresholds": {}, "flagged": False, "purified": False, "rests_on": rests})
    assert text.endswith("not checked for attacks; 42% of it rests on the region, 10.0% of the body")


@pytest.mark.slow
def test_examine_answers_the_good_files_and_names_the_bad(capsys, sample_files, tmp_path):
    (tmp_path / "bad.dcm").write_text("nothing of the kind")
    files = [tmp_path / "bad.dcm", sample_files[0], tmp_path / "none.dcm", sample_files[1]]
    assert main(["examine", "--json", *map(str, files)]) == 2
    printed = capsys.readouterr()
    assert [json.loads(line)["file"] for line in printed.out.splitlines()] == [str(files[1]), str(files[3])]
    assert len(printed.err.strip().splitlines()) == 2


def study(folder):
    """A folder with a series of two heads and a black slice between them, a localizer, and a text."""
    heads = [
        np.round(load_scan(SAMPLES / f"{name}.dcm").frame() * 1000).astype(np.int16)
        for name in ("tumour-01", "no-tumour-01")
    ]
    slices = [heads[0], np.zeros_like(heads[0]), heads[1]]
    tags = {
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [1, 1],
        "WindowCenter": 500,
        "WindowWidth": 1000,
    }
    for number, pixels in enumerate(slices):
        place = {"SeriesInstanceUID": "1.2.1", "ImagePositionPatient": [0, 0, 5 * number]}
        (folder / f"{number}.dcm").write_bytes(dicom(pixels, **tags, **place))
    for number in range(4):
        place = {"SeriesInstanceUID": "1.2.2", "ImagePositionPatient": [0, 0, 5 * number], "SeriesDescription": "scout"}
        (folder / f"scout{number}.dcm").write_bytes(dicom(np.full((8, 8), number, np.int16), **tags, **place))
    (folder / "notes.txt").write_text("hello there")
    return folder


@pytest.mark.slow
def test_all_slices_of_a_study(capsys, tmp_path, bundle):
    status, record, complaints = answer(capsys, "examine", study(tmp_path), "--all")
    golden = json.loads((GOLDEN / "examine-all.json").read_text())
    assert (status, complaints, shape(record)) == (0, "", shape(golden))
    assert [one["frame"] for one in record["slices"]] == [0, 1, 2] and record["slices"][1]["refused"]
    assert record["series_count"] == 2 and record["left_out"] == ["1 other file was left out."]
    for one in (record["slices"][0], record["slices"][2]):
        alone = examine(load_scan(tmp_path), bundle, frame=one["frame"])
        assert (one["label"], one["flagged"], one["refused"]) == (alone.label, alone.detection.flagged, alone.refused)
    assert main(["examine", str(tmp_path), "--all"]) == 0
    assert (
        capsys.readouterr().out == f"{tmp_path}: series 0 of 0 to 1, {record['summary']}. 1 other file was left out.\n"
    )
    status, scout, _ = answer(capsys, "examine", tmp_path, "--all", "--series", 1)
    assert (status, len(scout["slices"]), scout["series"]) == (0, 4, 1)
    status, middle, _ = answer(capsys, "examine", tmp_path)
    assert (status, middle["refused"]) == (0, record["slices"][1]["refused"])


@pytest.mark.slow
def test_a_series_that_is_not_there_is_one_sentence(capsys, tmp_path):
    assert main(["examine", str(study(tmp_path)), "--all", "--series", "2"]) == 2
    complaint = capsys.readouterr().err.strip()
    assert "no series 2" in complaint and "\n" not in complaint
    with pytest.raises(SystemExit):
        main(["examine", str(tmp_path), "--all", "--frame", "1"])
    assert main(["examine", str(tmp_path), "--all", "--region", "mask.nii"]) == 2
    assert "with --frame, not with --all" in capsys.readouterr().err


@pytest.mark.slow
def test_examine_says_how_far_the_answer_rests_on_a_region(capsys, tmp_path):
    pixels = load_scan(SAMPLES / "tumour-02.dcm").frame()
    place = np.diag([-1.5, -1.5, 5.0, 1.0])
    volume = np.stack([pixels.T, pixels.T], axis=2)
    everywhere, nowhere = np.ones(volume.shape, np.uint8), np.zeros(volume.shape, np.uint8)
    everywhere[:, :, 0] = 0
    nowhere[2:5, 2:5, 1] = 1
    for name, values in (("scan", 1000 * volume), ("all", everywhere), ("corner", nowhere)):
        (tmp_path / f"{name}.nii").write_bytes(nib.Nifti1Image(values.astype(np.int16), place).to_bytes())
    words = ("examine", tmp_path / "scan.nii", "--frame", 1, "--region")
    status, record, _ = answer(capsys, *words, tmp_path / "all.nii")
    assert status == 0 and record["label"] is not None
    whole = {"inside": pytest.approx(1), "size": pytest.approx(1), "of": "picture", "method": "integrated-gradients"}
    assert record["rests_on"] == whole
    _, record, _ = answer(capsys, *words, tmp_path / "corner.nii")
    assert record["rests_on"]["of"] == "body" and record["rests_on"]["inside"] < 0.05
    assert "of it rests on the region" in examination_text(record)
    words = ["examine", str(tmp_path / "scan.nii"), "--frame", "0", "--region", str(tmp_path / "all.nii")]
    assert main(words) == 2 and "outlines nothing on frame 0" in capsys.readouterr().err


@pytest.mark.slow
def test_attack_writes_what_it_says(capsys, sample_files, tmp_path):
    out = tmp_path / "attacked.dcm"
    status, record, _ = answer(capsys, "attack", sample_files[-1], "--eps", 4, "--steps", 10, "--out", out)
    assert status == 0
    assert set(record) == set(json.loads((GOLDEN / "attack.json").read_text()))
    moved = np.abs(load_scan(out).frame() - load_scan(sample_files[-1]).frame()).max() * 255
    assert record["linf"] == pytest.approx(moved, abs=0.01)
    assert moved <= 4.01


@pytest.mark.slow
def test_attack_as_png_is_read_back_exactly(capsys, sample_files, tmp_path):
    words = ["attack", sample_files[0], "--steps", 2, "--out"]
    answer(capsys, *words, tmp_path / "a.dcm")
    answer(capsys, *words, tmp_path / "a.png")
    assert np.array_equal(load_scan(tmp_path / "a.dcm").frame(), load_scan(tmp_path / "a.png").frame())


@pytest.mark.slow
def test_what_is_said_of_a_colour_png_is_of_its_eight_bits(capsys, tmp_path):
    cell = next(sample.path for sample in sample_scans("blood-cells") if sample.path.suffix == ".png")
    words = ["attack", cell, "--bundle", "blood-cells", "--method", "fgsm", "--eps", 0.4, "--out", tmp_path / "a.png"]
    status, record, _ = answer(capsys, *words)
    assert status == 0 and record["linf"] == 0 and record["label_after"] == record["label_before"]


@pytest.mark.slow
def test_evaluate_prints_the_golden_shape(capsys, sample_set):
    status, report, _ = answer(capsys, "evaluate", "--data", sample_set, "--attack", "fgsm", "--limit", 2)
    assert status == 0
    golden = json.loads((GOLDEN / "evaluate.json").read_text())
    assert set(report) == set(golden) and set(report["settings"]) == set(golden["settings"])
    assert set(report["detection"]) == set(golden["detection"])


@pytest.mark.parametrize(("split", "count"), [("val", 1), ("test", 2), ("all", 4)])
def test_evaluate_takes_the_split_that_is_asked_for(capsys, cells, tmp_path, split, count):
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "cells.npz", image=images, label=[0, 1, 2, 3], split=[0, 1, 2, 2])
    words = ["--data", tmp_path / "cells.npz", "--bundle", cells.name, "--split", split]
    status, report, _ = answer(capsys, "evaluate", *words)
    assert status == 0 and report["n"] == count and report["settings"]["split"] == split


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, reason",
    [
        (["attack", "SAMPLE", "--eps", "-1", "--out", "a.dcm"], "above 0"),
        (["attack", "SAMPLE", "--out", "nowhere/a.dcm"], "no folder"),
        (["attack", "SAMPLE", "--method", "gamma", "--out", "a.dcm"], "gamma"),
        (["attack", "SAMPLE", "--method", "magic", "--out", "a.dcm"], "magic"),
        (["attack", "SAMPLE", "--out", "a.txt"], ".dcm or .png"),
        (["evaluate", "--data", "none.npz"], "no data set"),
        (["evaluate", "--data", "none.npz", "--white-box"], "--attack"),
        (["examine", "SAMPLE", "--classifier", "vgg"], "vgg"),
        (["examine", "SAMPLE", "--bundle", "../x"], "no bundle"),
    ],
)
def test_wrong_words_give_one_sentence_and_status_2(capsys, sample_files, words, reason, tmp_path, monkeypatch):
    files = [str(sample_files[0]) if word == "SAMPLE" else word for word in words]
    monkeypatch.chdir(tmp_path)
    assert main(files) == 2
    complaint = capsys.readouterr().err.strip()
    assert reason in complaint and "\n" not in complaint and complaint.endswith(".")


@pytest.mark.parametrize("words", [["--steps", "0"], ["--limit", "-5"], ["--limit", "0"], ["--seed", "x"]])
def test_numbers_out_of_range_are_refused_by_name(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--data", "none.npz", *words])
    assert stop.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_the_scan_itself_is_never_overwritten(capsys, sample_files, tmp_path):
    copy = tmp_path / "scan.dcm"
    copy.write_bytes(sample_files[0].read_bytes())
    assert main(["attack", str(copy), "--steps", "1", "--out", str(copy)]) == 2
    assert copy.read_bytes() == sample_files[0].read_bytes()
