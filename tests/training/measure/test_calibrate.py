"""What the command that fits a bundle's limits says where it can't."""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import load_bundle
from core.bundles.loading import shipped_names
from core.defence.fitting import TooFewScans, fit_thresholds
from tests.two_questions import NAME, write_bundle
from training.files import read_facts, read_json, write_facts
from training.measure import calibrate
from training.publish import tables


def refit(monkeypatch: pytest.MonkeyPatch, error: Exception | None, folder: Path = Path()) -> None:
    """Run the command, whose fit ends in this error."""

    def fail(name: str, asked: calibrate.Asked | None) -> None:
        if error:
            raise error

    monkeypatch.setattr(calibrate, "load_bundle", lambda name: SimpleNamespace(name=name, folder=folder))
    monkeypatch.setattr(calibrate, "refit_bundle", fail)
    monkeypatch.setattr("sys.argv", ["calibrate", "--data", "none.npz", "--refit"])
    calibrate.main()


def test_too_few_scans_are_one_sentence(monkeypatch, capsys):
    with pytest.raises(TooFewScans) as few:
        fit_thresholds({"amv": [1.0], "instability": [1.0]})
    with pytest.raises(SystemExit):
        refit(monkeypatch, few.value)
    assert "too few calibration scans" in capsys.readouterr().err


def test_what_else_is_wrong_is_not_taken_for_it(monkeypatch):
    with pytest.raises(ValueError, match="another matter"):
        refit(monkeypatch, ValueError("another matter"))


def test_no_answers_of_todays_weights_are_one_sentence(monkeypatch, capsys, tmp_path):
    write_facts(tmp_path, {"limits": {}, "files": {}})
    with pytest.raises(SystemExit):
        refit(monkeypatch, None, tmp_path)
    assert "calibrate without --refit" in capsys.readouterr().err


EARLIER = {"command": "as before", "split": "val", "n": 3, "groups": 2, "data_sha256": "d"}


def answers(*digests: str) -> dict:
    """What calibration.json holds of a classifier that was asked about these scans, in pairs that are alike."""
    return {"digests": list(digests), "labels": [0] * len(digests), "groups": [name[0] for name in digests]}


def test_what_limits_were_fitted_on_is_told_of_the_answers():
    now = calibrate.Asked("calibrate --per-site 2", "e", ["a1", "b1"])
    found = calibrate.calibrated_record(answers("a1", "b1") | {"sites": ["N", "S"]}, EARLIER, now)
    assert (found["command"], found["n"], found["groups"], found["data_sha256"]) == (
        "calibrate --per-site 2",
        2,
        2,
        "e",
    )
    assert found["sites"] == {"N": 1, "S": 1} and found["split"] == "val"
    three = answers("a1", "a2", "b1")
    assert calibrate.calibrated_record(three, EARLIER) == calibrate.calibrated_record(three, EARLIER, now) == EARLIER
    assert calibrate.calibrated_record(three, {}) == {}


def test_answers_to_other_scans_than_are_told_are_refused():
    with pytest.raises(SystemExit, match="other scans than bundle.json says"):
        calibrate.calibrated_record(answers("a1", "b1"), EARLIER)


def test_limits_and_what_they_are_of_are_written_together(tmp_path):
    folder = write_bundle(tmp_path)
    ((_, entry),) = read_json(folder / "calibration.json").items()
    asked = calibrate.Asked("calibrate it", "d", entry["digests"])
    calibrate.fit_bundle(folder, asked)
    facts = read_facts(folder)
    assert facts["calibrated"]["n"] == len(entry["labels"]) == sum(facts["calibrated"]["sites"].values())
    assert facts["calibrated"]["command"] == "calibrate it" and facts["limits"]


def test_the_content_model_of_other_networks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", tmp_path)
    folder = write_bundle(tmp_path)
    networks = calibrate.content_networks(load_bundle(NAME))
    assert set(networks) == {"mae.safetensors", "unet.safetensors"}
    write_facts(folder, read_facts(folder) | {"content_made_with": {"weights_sha256": networks}})
    calibrate.check_content(load_bundle(NAME))
    other = {"weights_sha256": networks | {"mae.safetensors": "another"}}
    write_facts(folder, read_facts(folder) | {"content_made_with": other})
    before = (folder / "bundle.json").read_text()
    with pytest.raises(SystemExit, match="not made with its autoencoder and U-Net of today; calibrate first"):
        calibrate.refit_bundle(NAME)
    with pytest.raises(SystemExit, match="calibrate first"):
        tables.measure_bundle(Namespace(bundle=NAME, recorded=True))
    assert (folder / "bundle.json").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_names())
def test_what_is_shipped_can_be_fitted_again_as_it_is(name):
    bundle = load_bundle(name)
    if bundle.lacks is None:
        calibrate.check_content(bundle)
        answers = read_json(bundle.folder / "calibration.json")[bundle.default_classifier]
        earlier = read_facts(bundle.folder)["calibrated"]
        assert calibrate.calibrated_record(answers, earlier) == earlier
