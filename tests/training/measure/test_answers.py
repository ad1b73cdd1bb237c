"""Which classifiers are asked for the answers that thresholds are made of."""

from argparse import Namespace
from dataclasses import replace

import pytest

from core import load_bundle
from core.attacks import AttackSettings
from core.bundles import BundleError
from training.measure import answers

PGD, BLUR, CW = AttackSettings("pgd", eps=8), AttackSettings("gaussian-blur", severity=1), AttackSettings("cw", eps=8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], str | None]]:
    """What would be measured, of a bundle of which nothing is recorded and one mixture has thresholds."""
    seen: list[tuple[tuple[str, ...], str | None]] = []
    bundle = load_bundle()
    bundle = replace(bundle, calibrations={}, limits={name: bundle.limits[name] for name in ("resnet18", "medfedpure")})
    scans = Namespace(pixels=[])
    monkeypatch.setattr(answers, "load_bundle", lambda name: bundle)
    monkeypatch.setattr(answers, "measured_collections", lambda bundle, options: scans)
    monkeypatch.setattr(answers, "validation_scans", lambda data, options: scans)
    monkeypatch.setattr(
        answers, "keep", lambda options, bundle, names, settings, val: seen.append((tuple(names), settings.method))
    )
    return seen


def test_classifiers_with_thresholds_are_asked_each_under_its_own_attack(asked: list) -> None:
    answers.record_answers(Namespace(bundle="brain-mri"), [BLUR, PGD, CW])
    assert asked == [
        (("resnet18", "medfedpure"), "gaussian-blur"),
        (("resnet18",), "pgd"),
        (("medfedpure",), "pgd"),
        (("resnet18",), "cw"),
    ]


def test_others_are_asked_by_name(asked: list) -> None:
    answers.record_answers(Namespace(bundle="brain-mri"), [PGD, CW], ["mamba"])
    assert asked == [(("mamba",), "pgd")]
    with pytest.raises(BundleError, match="no classifier named 'swin'"):
        answers.record_answers(Namespace(bundle="brain-mri"), [PGD], ["swin"])
