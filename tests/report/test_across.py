"""The recorded defences of several bundles: figures, commands, and why there are none."""

import json
from pathlib import Path

import pytest

from core.bundles import BundleError, load_bundle
from core.defence.fitting import cross_fitted_limits
from core.evaluation.operating_points import JOINT, operating_point, roc
from core.report.across import recorded_task
from tests.defended import CLASSES, SIDE
from tests.two_questions import CLASSIFIER, NAME, write_bundle
from training.files import read_facts, write_facts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with invented answers; nothing is recorded of what measured them."""
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", tmp_path)
    return write_bundle(tmp_path)


def test_figures_are_cross_fitted_and_of_both_questions(folder: Path) -> None:
    task, calibration = recorded_task(NAME), load_bundle(NAME).calibrations[CLASSIFIER]
    limits = cross_fitted_limits(calibration)
    assert (task.name, task.classes, task.pixels, task.lacks) == (NAME, len(CLASSES), SIDE, None)
    assert (task.n, task.groups) == (len(calibration.labels), len(set(calibration.groups)))
    assert list(task.attacks) == ["pgd 2/255", "pgd 4/255", "pgd 8/255"]  # what is benign is no attack
    for name, attacked in task.attacks.items():
        assert attacked.point == operating_point(calibration, name, limits)
        assert attacked.altered.auc == roc(calibration, name, JOINT, limits).auc
        assert attacked.misleading.auc == roc(calibration, name, "instability").auc


def test_each_figure_has_the_command_that_was_recorded_for_it(folder: Path) -> None:
    write_facts(folder, read_facts(folder) | {"calibrated": {"command": "calibrate it", "split": "val"}})
    assert {attacked.command for attacked in recorded_task(NAME).attacks.values()} == {"calibrate it"}
    row = {"condition": "pgd 4/255", "report": {"settings": {"command": "evaluate that"}}}
    (folder / "results.json").write_text(json.dumps({"rows": [row], "command": "make all"}))
    task = recorded_task(NAME)
    assert task.split == "val"
    assert {name: attacked.command for name, attacked in task.attacks.items()} == {
        "pgd 2/255": "make all",
        "pgd 4/255": "evaluate that",
        "pgd 8/255": "make all",
    }


@pytest.mark.parametrize("part", ["mae", "unet"])
def test_a_bundle_without_a_network_says_what_it_lacks_as_everywhere(folder: Path, part: str) -> None:
    facts = read_facts(folder)
    write_facts(folder, {name: entry for name, entry in facts.items() if name != part})
    task = recorded_task(NAME)
    assert task.lacks and task.lacks == load_bundle(NAME).lacks
    assert (task.n, task.groups, task.attacks) == (0, 0, {})


def test_a_classifier_without_thresholds_has_no_figures(folder: Path) -> None:
    write_facts(folder, read_facts(folder) | {"limits": {}})
    task = recorded_task(NAME)
    assert "has no thresholds yet" in task.lacks and not task.attacks


def test_a_damaged_record_is_one_sentence(folder: Path) -> None:
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(BundleError, match="is not the file that bundle.json describes"):
        recorded_task(NAME)
    with pytest.raises(BundleError, match="There is no bundle named 'elsewhere'"):
        recorded_task("elsewhere")
    facts = read_facts(folder)
    (folder / "bundle.json").write_text(json.dumps({name: facts[name] for name in facts if name != "files"}))
    with pytest.raises(BundleError, match="lacks the entry 'files'"):
        recorded_task(NAME)
