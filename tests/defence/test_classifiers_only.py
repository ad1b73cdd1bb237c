"""A bundle that has classifiers and nothing else: what works, and that the rest is one sentence."""

import json

import numpy as np
import pytest
import torch

from core import BundleError, examine, load_scan
from core.attacks import AttackSettings, attack_scan
from core.bundles import in_float32, load_bundle
from core.cli import main
from core.evaluation.datasets import load_dataset
from core.evaluation.evaluation import NO_PURIFIER, evaluate
from core.purification.catalogue import PURIFIERS, purified_pixels, usable_purifiers
from core.purification.settings import PurifySettings
from core.scans import sample_scans, write_derived_dicom
from tests.cells import CLASSES, NAME, SIDE, cell, write_picture, write_set

FILTERS = ("median", "gaussian", "jpeg", "none")


@pytest.fixture
def picture(tmp_path):
    return write_picture(tmp_path / "cell.png", cell())


@pytest.mark.slow
def test_what_the_bundle_is_without_is_one_sentence(cells, bundle):
    assert cells.mae is cells.diffusion is cells.content is None
    assert (cells.limits, cells.calibrations, cells.modalities) == ({}, {}, ())
    assert list(cells.classifiers) == ["resnet18", "mamba", "vit"]
    assert "tiny-cells holds no masked autoencoder and no diffusion model" in cells.lacks
    assert cells.lacks.count(". ") == 0 and cells.lacks.endswith(".")
    assert bundle.lacks is None and in_float32(cells) is cells
    with pytest.raises(BundleError) as refusal:
        cells.limits_of("resnet18")
    assert str(refusal.value) == cells.lacks


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["content", "calibration", "limits", "unet"])
def test_a_bundle_with_a_mae_must_have_what_belongs_to_it(gone, cells, two_bundles, tmp_path, monkeypatch):
    facts = json.loads((two_bundles / "brain-mri" / "bundle.json").read_text())
    (tmp_path / "brain-mri").mkdir()
    for file in facts["files"]:
        (tmp_path / "brain-mri" / file).symlink_to((two_bundles / "brain-mri" / file).resolve())
    del facts[gone]
    (tmp_path / "brain-mri" / "bundle.json").write_text(json.dumps(facts))
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", tmp_path)
    if gone == "unet":
        assert "holds no diffusion model, so" in load_bundle("brain-mri").lacks
    else:
        with pytest.raises(BundleError, match=gone):
            load_bundle("brain-mri")


@pytest.mark.parametrize("classifier", [None, "mamba"])
def test_the_classifier_answers_alone(cells, picture, classifier):
    exam = examine(load_scan(picture), cells, classifier=classifier)
    assert exam.prediction is exam.undefended and exam.prediction.classifier == (classifier or "resnet18")
    assert exam.detection is exam.purification is exam.refused is exam.scope_limit is exam.scope_distance is None
    assert tuple(exam.prediction.probabilities) == CLASSES and exam.label in CLASSES
    assert exam.pixels.shape == (3, SIDE, SIDE) and exam.frame.shape == (48, 40, 3)
    network = cells.classifiers[exam.prediction.classifier]
    with torch.no_grad():
        wanted = network(torch.from_numpy(exam.pixels)[None]).softmax(1)[0].tolist()
    assert list(exam.prediction.probabilities.values()) == pytest.approx(wanted, abs=1e-6)


def test_grey_pictures_are_refused(cells, tmp_path):
    grey = np.repeat(cell().mean(-1, keepdims=True), 3, axis=-1)
    marked, stained = grey.copy(), grey.copy()
    marked[:6, :14] = (1, 0, 0)  # 4.4 % of the pixels
    stained[:6, :20] = (1, 0, 0)  # 6.3 %
    for name, frame in {"flat": grey[..., 0], "grey": grey, "marked": marked}.items():
        exam = examine(load_scan(write_picture(tmp_path / f"{name}.png", frame)), cells)
        assert exam.label is None and "it is grey, and “Tiny cells” takes colour pictures only." in exam.refused, name
    assert examine(load_scan(write_picture(tmp_path / "stained.png", stained)), cells).refused is None


def test_a_scan_that_states_a_modality_is_refused_by_name(cells, sample_files, tmp_path):
    exam = examine(load_scan(sample_files[0]), cells)
    assert "the file says modality MR" in exam.refused and exam.label is None and exam.undefended is None
    colour = write_derived_dicom(tmp_path / "c.dcm", cell(), kind="purified", description="A cell.", modality="XC")
    assert "modality XC" in examine(load_scan(colour), cells).refused


def test_an_attacked_picture_says_other_and_is_read_back(cells, picture):
    scan = load_scan(picture)
    before, attacked = examine(scan, cells), attack_scan(scan, cells, AttackSettings("pgd", steps=3))
    after = examine(attacked, cells)
    assert attacked.modality == "OT" and attacked.is_colour
    assert after.refused is None and after.pixels.shape == (3, SIDE, SIDE)
    moved = np.abs(after.pixels - before.pixels).max() * 255
    assert 1 < moved <= 8.01
    assert after.prediction.probabilities[before.label] < before.prediction.confidence


@pytest.mark.parametrize("settings", [AttackSettings("pgd", white_box=True), AttackSettings("detector-aware")])
def test_there_is_no_defence_to_attack(cells, picture, settings, tmp_path):
    with pytest.raises(BundleError) as refusal:
        attack_scan(load_scan(picture), cells, settings)
    assert str(refusal.value) == cells.lacks
    with pytest.raises(BundleError):
        evaluate(load_dataset(write_set(tmp_path / "c.npz"), CLASSES, SIDE, 3), cells, attack=settings)


@pytest.mark.parametrize("method", PURIFIERS)
def test_what_needs_no_network_still_purifies(cells, method):
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    if method in FILTERS:
        assert purified_pixels(pixels, cells, PurifySettings(method)).shape == pixels.shape
    else:
        with pytest.raises(BundleError) as refusal:
            purified_pixels(pixels, cells, PurifySettings(method))
        assert str(refusal.value) == cells.lacks
    assert (method in usable_purifiers(cells)) == (method in FILTERS)


def test_samples_are_those_of_the_bundle(cells):
    assert sample_scans(NAME) == ()
    assert {sample.bundle for sample in sample_scans("brain-mri")} == {"brain-mri"}


def answer(capsys, *words):
    status = main([*map(str, words), "--bundle", NAME, "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else None, printed.err.strip()


def test_examine_command(capsys, cells, picture):
    status, record, said = answer(capsys, "examine", picture)
    assert status == 0 and said == cells.lacks
    assert record["label"] in CLASSES and record["refused"] is None
    assert (record["flagged"], record["scores"], record["thresholds"], record["t_star"]) == (False, {}, {}, None)
    assert main(["examine", str(picture), "--bundle", NAME]) == 0
    assert "not checked for attacks" in capsys.readouterr().out
    status, record, _ = answer(capsys, "examine", picture, "--all")
    assert status == 0 and record["slices"][0]["flagged"] is None
    assert record["summary"].endswith("on slice 1 of 1; not checked for manipulation")


def test_examine_command_refuses_a_brain_scan(capsys, cells, sample_files):
    status, record, _ = answer(capsys, "examine", sample_files[0])
    assert status == 0 and record["label"] is None and "modality MR" in record["refused"]


def test_attack_and_purify_commands(capsys, cells, picture, tmp_path):
    status, record, _ = answer(capsys, "attack", picture, "--steps", 3, "--out", tmp_path / "a.dcm")
    assert status == 0 and record["linf"] <= 8.01
    assert load_scan(tmp_path / "a.dcm").modality == "OT"
    status, record, _ = answer(capsys, "purify", tmp_path / "a.dcm", "--method", "median", "--out", tmp_path / "out")
    assert status == 0 and 0 < record["ssim"] < 1
    assert load_scan(tmp_path / "out" / "purified.dcm").modality == "OT"


@pytest.mark.parametrize(
    "words",
    [
        ["attack", "PICTURE", "--white-box", "--out", "a.dcm"],
        ["attack", "PICTURE", "--method", "bpda", "--out", "a.dcm"],
        ["purify", "PICTURE", "--out", "out"],
        ["purify", "PICTURE", "--method", "mae-pure", "--out", "out"],
        ["evaluate", "--data", "SET", "--attack", "pgd", "--white-box"],
        ["evaluate", "--data", "SET", "--purifier", "one-step"],
    ],
)
def test_commands_that_need_the_defence_say_so(capsys, cells, picture, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    given = {"PICTURE": picture, "SET": write_set(tmp_path / "cells.npz")}
    status, record, said = answer(capsys, *(given.get(word, word) for word in words))
    assert status == 2 and record is None
    assert set(said.splitlines()) == {cells.lacks}
    assert not (tmp_path / "a.dcm").exists() and not (tmp_path / "out").exists()


def test_evaluate_gives_the_undefended_figures_for_the_defended(capsys, cells, tmp_path):
    words = ["evaluate", "--data", write_set(tmp_path / "cells.npz", 8), "--attack", "fgsm"]
    status, report, said = answer(capsys, *words)
    assert status == 0 and said == cells.lacks
    assert report["n"] == 8 and report["refused"] == report["refused_attacked"] == 0
    for kind in ("clean", "attacked"):
        assert report[f"{kind}_accuracy"] == report[f"defended_{kind}_accuracy"]
        assert report[f"flagged_{kind}"] == 0
    assert report["detection"] == {} and report["ssim_purified"] is None
    settings = report["settings"]
    assert settings["purifier"]["method"] == NO_PURIFIER.method and settings["thresholds"] == {}
    assert settings["lacks"] == cells.lacks


def test_evaluate_goes_on_from_its_file(cells, tmp_path):
    data = load_dataset(write_set(tmp_path / "cells.npz", 6), CLASSES, SIDE, 3)
    how = {"attack": AttackSettings("fgsm"), "resume": tmp_path / "answers.jsonl"}
    first, again = evaluate(data, cells, **how), evaluate(data, cells, **how)
    assert first == again


def test_an_audit_says_so(cells, picture):
    from core.report.cases import AuditSettings, case_evidence
    from core.report.sources import Source
    from core.report.store import CaseStore

    source = Source("cell.png", "0" * 64, picture.read_bytes)
    for work in (
        lambda: case_evidence(source, cells, AuditSettings()),
        lambda: CaseStore((source,), cells, AuditSettings()),
    ):
        with pytest.raises(BundleError) as refusal:
            work()
        assert str(refusal.value) == cells.lacks
