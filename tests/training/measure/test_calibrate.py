"""What the command that fits a bundle's limits says where it can't."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from core.defence.fitting import TooFewScans, fit_thresholds
from training.files import write_facts
from training.measure import calibrate


def refit(monkeypatch: pytest.MonkeyPatch, error: Exception | None, folder: Path = Path()) -> None:
    """Run the command, whose fit ends in this error."""

    def fail(name: str) -> None:
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
