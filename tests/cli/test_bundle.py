"""bundle add and remove, and every command with what was added to a bundle with a defence, or made one of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.bundles import load_bundle
from core.cli import main
from tests.cells import CLASSES as KINDS
from tests.cells import NAME as CELLS
from tests.cells import SIDE as CELL_SIDE
from tests.cells import cell, write_picture, write_set
from tests.defended import CLASSES, SIDE, scans
from tests.newcomers import CONVNEXT, MOBILENET, words, write_weights
from tests.two_questions import NAME, change_limits, write_bundle

GOLDEN = Path(__file__).parent / "golden"


def answer(capsys, *given):
    status = main([*map(str, given), "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else None, printed.err.strip()


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def write_scans(path):
    images = np.rint(255 * scans(4).pixels[:, 0].numpy()).astype(np.uint8)
    np.savez(path, image=images, label=[0, 1] * 2, split=[1] * 4)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder like weights/ with a bundle that has a defence, whose scope takes every scan."""
    folder = tmp_path_factory.mktemp("weights")
    change_limits(write_bundle(folder))
    return folder


@pytest.fixture
def ward(tmp_path):
    """Twenty scans as pictures."""
    folder = tmp_path / "ward"
    folder.mkdir()
    for index, pixels in enumerate(scans(20).pixels):
        Image.fromarray(np.rint(255 * pixels[0].numpy()).astype(np.uint8)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture
def joined(weights, own, tmp_path, monkeypatch):
    """Have a classifier join that bundle; the words that choose it."""
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", weights)

    def join(model):
        path = write_weights(tmp_path / f"{model}.safetensors", model, len(CLASSES))
        assert main(words(NAME, model, path, CLASSES, "--size", SIDE)) == 0
        return ("--bundle", NAME, "--classifier", model)

    return join


@pytest.mark.slow
@pytest.mark.parametrize("model", [MOBILENET, CONVNEXT])
def test_it_is_measured_and_gets_thresholds_from_clean_scans(capsys, joined, ward, tmp_path, model):
    chosen, (scan, *_) = joined(model), sorted(ward.iterdir())
    capsys.readouterr()
    data, profile = write_scans(tmp_path / "data.npz"), tmp_path / "profile.json"

    status, record, said = answer(capsys, "examine", scan, *chosen)
    assert status == 0 and record["label"] in CLASSES and (record["scores"], record["thresholds"]) == ({}, {})
    assert "has no thresholds yet" in said and "\n" not in said
    status, report, _ = answer(capsys, "evaluate", "--data", data, "--attack", "fgsm", *chosen)
    assert status == 0 and report["n"] == 4 and report["detection"] == {}
    for kind in ("clean", "attacked"):
        assert report[f"{kind}_accuracy"] == report[f"defended_{kind}_accuracy"]
    assert report["settings"]["lacks"] == said

    status, record, _ = answer(capsys, "calibrate", ward, "--out", profile, *chosen)
    assert status == 0 and set(record) == set(golden("calibrate")) and record["scans"] == 20
    assert record["flagged_as_shipped"] is record["altered_as_shipped"] is None
    assert record["thresholds_as_shipped"] == {}
    assert set(record["thresholds"]) == {"amv", "agreement", "instability"}

    status, record, said = answer(capsys, "examine", scan, *chosen, "--profile", profile)
    assert status == 0 and not said and set(record["scores"]) > set(record["thresholds"])
    assert (
        record["thresholds"]
        == json.loads(profile.read_text())["groups"]["altered"]["thresholds"]
        | (json.loads(profile.read_text())["groups"]["flagged"]["thresholds"])
    )
    status, report, _ = answer(capsys, "evaluate", "--data", data, "--attack", "fgsm", *chosen, "--profile", profile)
    assert status == 0 and "instability" in report["detection"] and "lacks" not in report["settings"]
    assert report["settings"]["borderline"] == {"certainty": 0.0, "instability": 0.0}

    faults = ("faults", "--data", data, *chosen, "--flips", 2, "--bit", 30, "--guard", "repair")
    status, report, _ = answer(capsys, *faults, "--trials", 2, "--tensor", "mean")
    assert status == 0 and report["n"] == 4 and report["alarms"] == report["repaired"] == 1.0
    status, report, _ = answer(capsys, "attack", scan, "--method", "fgsm", "--out", tmp_path / "a.dcm", *chosen)
    assert status == 0 and 0 < report["linf"] <= 8.01


@pytest.mark.slow
def test_a_bundle_of_ones_own_is_measured(capsys, own, tmp_path):
    path = write_weights(tmp_path / "net.safetensors", CONVNEXT, len(KINDS))
    status, record, _ = answer(capsys, *words("mine", CONVNEXT, path, KINDS, "--size", CELL_SIDE, "--as", "ours"))
    assert status == 0 and set(record) == set(golden("bundle-add"))
    assert (record["bundle"], record["classifier"], record["new"]) == ("mine", "ours", True)
    assert record["lacks"] == load_bundle("mine").lacks
    picture, data = write_picture(tmp_path / "cell.png", cell()), write_set(tmp_path / "cells.npz", 8)
    status, record, _ = answer(capsys, "examine", picture, "--bundle", "mine")
    assert status == 0 and record["label"] in KINDS and record["classifier"] == "ours"
    status, report, _ = answer(capsys, "evaluate", "--data", data, "--attack", "fgsm", "--bundle", "mine")
    assert status == 0 and report["n"] == 8 and report["attacked_accuracy"] <= report["clean_accuracy"]
    status, report, _ = answer(capsys, "faults", "--data", data, "--bundle", "mine", "--trials", 2, "--bit", 30)
    assert status == 0 and report["trials"] == 2
    status, record, _ = answer(capsys, "bundle", "remove", "mine")
    assert (status, record) == (0, {"bundle": "mine", "removed": ["ours"]}) and set(record) == set(
        golden("bundle-remove")
    )
    assert main(["examine", str(picture), "--bundle", "mine"]) == 2
    assert "no bundle named 'mine'" in capsys.readouterr().err


def test_the_words_say_what_came_of_it_and_how_it_goes_again(capsys, cells, own, tmp_path):
    path = write_weights(tmp_path / "net.safetensors", MOBILENET, len(KINDS))
    assert main(words(CELLS, MOBILENET, path, KINDS, "--size", CELL_SIDE)) == 0
    said = capsys.readouterr().out
    assert f"{MOBILENET} (0.6 M parameters) has joined the bundle: {CELLS}." in said and cells.lacks in said
    assert f"python -m core bundle remove {CELLS} takes it away" in said and "Thresholds:" not in said
    assert main(["bundle", "remove", CELLS, "--classifier", MOBILENET]) == 0
    assert capsys.readouterr().out == f"Taken away from {CELLS}: {MOBILENET}.\n"


def test_what_does_not_fit_gives_one_sentence_and_status_2(capsys, cells, own, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"PK\x03\x04")
    assert main(words(CELLS, MOBILENET, tmp_path / "net.pt", KINDS)) == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("net.pt is a pickle") and "\n" not in complaint and complaint.endswith(".")
    assert main(["bundle", "remove", CELLS]) == 2
    assert capsys.readouterr().err.strip() == f"Nothing was added under the name '{CELLS}'; what was: nothing."
    with pytest.raises(SystemExit) as stop:
        main([*words(CELLS, MOBILENET, tmp_path / "net.pt", KINDS), "--mean", "half"])
    assert stop.value.code == 2 and "'half' is not one number" in capsys.readouterr().err


@pytest.mark.slow
def test_without_thresholds_there_is_no_defence_to_attack_or_to_ask(capsys, joined, ward, tmp_path):
    chosen, scan, data = joined(MOBILENET), str(ward / "00.png"), str(write_scans(tmp_path / "data.npz"))
    capsys.readouterr()
    for given in (
        ["attack", scan, "--white-box", "--out", str(tmp_path / "a.dcm")],
        ["evaluate", "--data", data, "--attack", "pgd", "--white-box"],
        ["evaluate", "--data", data, "--purifier", "one-step"],
    ):
        assert main([*given, *chosen]) == 2
        lines = set(capsys.readouterr().err.strip().splitlines())
        assert len(lines) == 1 and "has no thresholds yet" in lines.pop()
    assert main(["purify", scan, "--method", "adaptive", "--out", str(tmp_path / "out"), *chosen]) == 0
