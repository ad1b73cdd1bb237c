"""Under the hardened policy a classifier answers every scan as it is, and nothing is purified."""

import json

import pytest
import torch

from core import examine, load_bundle, load_scan
from core.attacks import AttackSettings, DefendedModel
from core.bundles import BundleError, classifier_under, policy_classifiers, policy_of
from core.cli import main
from core.defence.decision import decide_recorded
from core.defence.fitting import cross_fitted_limits
from core.evaluation.responses import respond
from core.scans import write_derived_png
from tests.defended import scans
from tests.two_questions import CLASSIFIER, NAME, add_hardened, change_limits, write_bundle
from training.measure import answers

FOUND = {"amv": 1e-12, "agreement": 1e9, "instability": 1e-12}


@pytest.fixture
def hardened(tmp_path, monkeypatch):
    """A bundle of both policies that finds every scan altered and flagged."""
    folder = add_hardened(write_bundle(tmp_path / "weights"))
    change_limits(folder, **FOUND)
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", folder.parent)
    write_derived_png(tmp_path / "scan.png", scans(1).pixels[0, 0].numpy())
    return load_bundle(NAME)


def test_each_policy_has_its_classifier(hardened):
    assert policy_classifiers(hardened) == {"clinical": CLASSIFIER, "hardened": "hardened"}
    assert [policy_of(hardened, name) for name in (CLASSIFIER, "hardened")] == ["clinical", "hardened"]


def test_a_policy_that_a_bundle_lacks_is_a_sentence(bundle_of_one_policy):
    with pytest.raises(BundleError, match=f"^The bundle {NAME} has no hardened classifier; .*: clinical.$"):
        classifier_under(bundle_of_one_policy, "hardened")


@pytest.fixture
def bundle_of_one_policy(tmp_path, monkeypatch):
    write_bundle(tmp_path / "weights")
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", tmp_path / "weights")
    return load_bundle(NAME)


def test_what_is_found_is_told_and_nothing_is_purified(hardened, tmp_path):
    scan = load_scan(tmp_path / "scan.png")
    clinical, exam = examine(scan, hardened), examine(scan, hardened, classifier="hardened")
    assert clinical.purification and exam.purification is None
    assert exam.flagged and exam.detection.altered and not exam.kept_borderline
    assert exam.left_alone and not clinical.left_alone
    assert exam.prediction == exam.undefended and exam.prediction.classifier == "hardened"


def test_recorded_answers_and_the_attackers_model_agree(hardened):
    pixels = scans(3).pixels
    limits = hardened.limits_of("hardened")
    found = decide_recorded(respond(pixels, pixels, hardened, "hardened", 0), limits)
    assert found.flagged.all() and not found.purified.any() and not found.overruled.any()
    model = DefendedModel(hardened, "hardened")
    own = hardened.classifiers["hardened"](pixels)
    assert torch.equal(model(pixels), own) and found.answers.tolist() == own.argmax(1).tolist()


def test_limits_fitted_anew_purify_nothing_either(hardened):
    fitted = cross_fitted_limits(hardened.calibrations["hardened"])
    assert not any(limits.purifies for limits in fitted)
    assert all(limits.purifies for limits in cross_fitted_limits(hardened.calibrations[CLASSIFIER]))
    kept = hardened.calibrations["hardened"].part([0, 1, 2])
    assert not kept.purifies


def test_recording_answers_notes_that_nothing_is_purified(hardened, tmp_path, monkeypatch):
    monkeypatch.setattr("training.measure.answers.NOTEBOOKS", tmp_path / "answers")
    options = type("Options", (), {"bundle": NAME, "seed": 0, "per_site": None})
    for name in (CLASSIFIER, "hardened"):
        answers.keep(options, hardened, [name], AttackSettings(), scans(2))
    kept = json.loads((hardened.folder / "calibration.json").read_text())
    assert kept["hardened"]["purifies"] is False and "purifies" not in kept[CLASSIFIER]


def test_the_command_line_takes_a_policy(hardened, tmp_path, capsys):
    words = ["examine", str(tmp_path / "scan.png"), "--bundle", NAME, "--json"]
    for policy, classifier in (("clinical", CLASSIFIER), ("hardened", "hardened")):
        assert main([*words, "--policy", policy]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["policy"], record["classifier"]) == (policy, classifier)
        assert record["flagged"] and record["purified"] == (policy == "clinical")
    assert main([*words, "--classifier", "hardened"]) == 0
    assert json.loads(capsys.readouterr().out)["policy"] == "hardened"
    with pytest.raises(SystemExit):
        main([*words, "--policy", "hardened", "--classifier", CLASSIFIER])
    assert "not allowed with" in capsys.readouterr().err
