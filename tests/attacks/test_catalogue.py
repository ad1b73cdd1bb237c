"""The catalogue: how long each attack can get, and what an attacked file says of it."""

import json

import pydicom
import pytest
import torch

from core.attacks import (
    METHODS,
    AttackSettings,
    attack_pixels,
    attack_scan,
    attack_steps,
    attackable_pixels,
    describe_attack,
    longest_run,
)
from core.cli import main
from core.scans import derived_dicom, load_scan
from tests.attacks.test_detector_aware import Guard
from tests.attacks.tiny import make_bent, numbers, zeros

SHORT = 2
# They need the whole defence, on which they yield their own number of steps; see below.
ON_DEFENCE = ("detector-aware", "orthogonal", "feature-hiding")
ON_CLASSIFIERS = {name: method for name, method in METHODS.items() if name not in ON_DEFENCE}
every_run = pytest.mark.parametrize(
    "name, norm", [(name, norm) for name, method in ON_CLASSIFIERS.items() for norm in method.norms or ("linf",)]
)


def settings_of(name, norm, restarts=1):
    takes = METHODS[name].takes
    return AttackSettings(
        name,
        norm=norm,
        steps=SHORT if "steps" in takes else None,
        restarts=restarts if "restarts" in takes else 1,
    )


def yielded(model, settings):
    pixels = torch.rand(1, 1, 8, 8, generator=numbers(3))
    return len(list(attack_steps(model, pixels, zeros(), settings, 0)))


def stubborn(classes):
    """Nothing fools it, and its gradients are none the wiser."""
    bent, lead = make_bent(classes), torch.eye(classes)[0] * 1000
    return lambda pixels: bent(pixels) + lead


@pytest.fixture(autouse=True)
def short_autoattack(monkeypatch):
    """It takes no number of steps, and its own would last."""
    entry = METHODS["autoattack"]
    monkeypatch.setitem(METHODS, "autoattack", entry._replace(steps=SHORT, takes=("steps",)))


@every_run
@pytest.mark.parametrize("classes", [2, 4])
def test_what_fools_nobody_takes_as_long_as_was_said(name, norm, classes):
    for restarts in (1, 2):
        settings = settings_of(name, norm, restarts)
        assert yielded(stubborn(classes), settings) == longest_run(settings, classes)


@every_run
def test_nothing_takes_longer_than_was_said(name, norm):
    for restarts in (1, 2):
        settings = settings_of(name, norm, restarts)
        assert 1 <= yielded(make_bent(3), settings) <= longest_run(settings, 3)


@pytest.mark.parametrize("name", ON_DEFENCE)
def test_attacks_on_the_detector_take_their_steps(name):
    settings = AttackSettings(name, steps=5)
    pixels = torch.tensor([[[[0.4, 0.55]]]])
    assert len(list(attack_steps(Guard(), pixels, zeros(), settings, 0))) == longest_run(settings) == 5


def test_lengths_at_the_attacks_own_numbers_of_steps(monkeypatch):
    monkeypatch.undo()
    lengths = {
        ("pgd", "linf"): 40,
        ("autoattack", "linf"): 100 + 100 + 5000,
        ("cw", "linf"): 40,
        ("cw", "l2"): 5 * 100 + 1,
        ("ead", "l1"): 10 * 100 + 1,
        ("deepfool", "l2"): 50 + 2,
    }
    for (name, norm), expected in lengths.items():
        assert longest_run(AttackSettings(name, norm=norm)) == expected
    assert longest_run(AttackSettings("autoattack"), classes=3) == 5300
    assert longest_run(AttackSettings("pgd", steps=10, restarts=3)) == 30


@pytest.mark.slow
def test_a_file_says_how_many_steps_were_taken(bundle):
    said = describe_attack(AttackSettings("square", eps=4), bundle, 37)
    assert "square, linf, eps 4/255, 37 of at most 5000 steps, against resnet18 of brain-mri." in said
    assert "40 steps, against" in describe_attack(AttackSettings("pgd"), bundle, 40)
    assert ", 1 step, against" in describe_attack(AttackSettings("fgsm"), bundle, 1)
    assert "3 of at most 40 steps, against the defence around" in describe_attack(AttackSettings("bpda"), bundle, 3)
    assert "step" not in describe_attack(AttackSettings("gamma", severity=2), bundle, 1)


@pytest.mark.slow
def test_command_and_library_say_the_same_of_an_attack_that_is_over_early(
    bundle, sample_files, tmp_path, capsys, monkeypatch
):
    scan, settings = load_scan(sample_files[-1]), AttackSettings("square", eps=16, steps=400)
    count = len(list(attack_pixels(attackable_pixels(scan, bundle), bundle, settings)))
    assert 1 < count < 400
    said = []
    monkeypatch.setattr("core.attacks.derived_dicom", lambda *_, **how: said.append(how) or derived_dicom(*_, **how))
    attack_scan(scan, bundle, settings)
    out = tmp_path / "attacked.dcm"
    words = ["attack", str(sample_files[-1]), "--method", "square", "--eps", "16", "--steps", "400"]
    assert main([*words, "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == count
    assert pydicom.dcmread(out).DerivationDescription == said[0]["description"]
    assert f"{count} of at most 400 steps" in said[0]["description"]
