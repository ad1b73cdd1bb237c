"""Which classifiers are asked for the answers that thresholds are made of."""

import json
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from core import load_bundle
from core.attacks import AttackSettings
from core.bundles import Bundle, BundleError
from training.files import read_facts
from training.measure import answers, attributions, purifiers, variation

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
    answers.record_answers(Namespace(bundle="brain-mri", seed=0), [BLUR, PGD, CW])
    assert asked == [
        (("resnet18", "medfedpure"), "gaussian-blur"),
        (("resnet18",), "pgd"),
        (("medfedpure",), "pgd"),
        (("resnet18",), "cw"),
    ]


def test_others_are_asked_by_name(asked: list) -> None:
    answers.record_answers(Namespace(bundle="brain-mri", seed=0), [PGD, CW], ["mamba"])
    assert asked == [(("mamba",), "pgd")]
    with pytest.raises(BundleError, match="no classifier named 'swin'"):
        answers.record_answers(Namespace(bundle="brain-mri", seed=0), [PGD], ["swin"])


@pytest.fixture
def recorded(bundle: Bundle, tmp_path: Path) -> Bundle:
    """The bundle, with what it notes beside its answers in a folder that tests may write to."""
    own = replace(bundle, folder=tmp_path / bundle.name)
    own.folder.mkdir()
    for name in ("bundle.json", "calibration.json"):
        shutil.copy(bundle.folder / name, own.folder / name)
    return own


def note(bundle: Bundle, seed: int) -> None:
    """Note beside all answers that they are of this seed and of today's weights."""
    facts = read_facts(bundle.folder)
    for name, noted in facts["answers"].items():
        noted |= dict.fromkeys(noted, answers.made_of(answers.weights_digest(bundle, name), seed))
    (bundle.folder / "bundle.json").write_text(json.dumps(facts))


def test_answers_of_another_seed_are_not_taken_for_this_ones(recorded: Bundle) -> None:
    digests = recorded.calibrations["resnet18"].digests
    asked = (recorded, "resnet18", PGD, digests)
    assert answers.is_recorded(*asked, 0) and not answers.is_recorded(*asked, 1)  # as shipped
    note(recorded, 1)
    assert answers.is_recorded(*asked, 1) and not answers.is_recorded(*asked, 0)


def test_answers_of_todays_weights_are_kept_whatever_their_seed(recorded: Bundle) -> None:
    for seed in (0, 1):
        note(recorded, seed)
        before = (recorded.folder / "bundle.json").read_text()
        answers.drop_stale(recorded)
        kept = json.loads((recorded.folder / "calibration.json").read_text())
        assert len(kept["resnet18"]["conditions"]) == len(recorded.calibrations["resnet18"].conditions)
        assert read_facts(recorded.folder)["answers"] == json.loads(before)["answers"]


def test_tables_of_what_is_recorded_name_the_scans_and_the_seed_that_it_is_of(
    recorded: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = recorded.calibrations["resnet18"].digests
    monkeypatch.setattr(answers, "image_digest", lambda pixels: pixels)
    answers.check_recorded(recorded, Namespace(pixels=known), 0)
    for scans, seed in ((known[1:], 0), (known, 1)):
        with pytest.raises(SystemExit, match="of other scans or of another seed"):
            answers.check_recorded(recorded, Namespace(pixels=scans), seed)


def test_commands_name_another_seed_than_0(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Namespace(folder=Path(), name="discs", classifiers={"one": None}, added={}, mask_dit=None)
    monkeypatch.setattr(purifiers, "usable_purifiers", lambda bundle: ["none"])
    monkeypatch.setattr(purifiers, "ROWS", purifiers.ROWS[:1])
    monkeypatch.setattr(purifiers, "attacked", lambda *_: {})
    monkeypatch.setattr(attributions, "outlined", lambda val: [1])
    monkeypatch.setattr(attributions, "weights_record", lambda *_: {})
    monkeypatch.setattr(attributions, "attribution_agreement", lambda *_: {})
    for module in (purifiers, variation):
        monkeypatch.setattr(module, "made_with_today", lambda bundle: {})
        monkeypatch.setattr(module, "measure", lambda *_: {})
    found: dict = {}
    for module in (purifiers, variation, attributions):
        monkeypatch.setattr(module, "read_results", lambda folder: {})
        monkeypatch.setattr(module, "write_results", lambda folder, changes: found.update(changes))
    scans = Namespace(limited=lambda *_: [1], has_mask=True)
    for seed, words in ((0, "--data a.npz --bundle discs"), (1, "--data a.npz --bundle discs --seed 1")):
        options = Namespace(data=[Path("a.npz")], seed=seed)
        purifiers.record_purifiers(scans, bundle, options)
        variation.record_variation(scans, bundle, options)
        attributions.record_attributions(scans, bundle, options)
        commands = [found["purifiers"]["command"], found["variation"]["command"]]
        commands.append(found["looks"]["one"]["made_with"]["command"])
        assert all(command.endswith(words) for command in commands)
