"""What a run without one site was begun with, and what is recorded of it."""

from argparse import Namespace
from pathlib import Path

import pytest

from training.files import read_json
from training.measure import leave_one_out
from training.measure.leave_one_out import check_begun


def options(folder: Path, **changed: object) -> Namespace:
    """The options of a run without site A."""
    shaping = dict.fromkeys(leave_one_out.SHAPING) | {"lr": 0.001, "weights": [(("both", 0), 0.5)]}
    run = {"data": [Path("both.npz")], "init": None, "steps": 5, "seed": 0, "leave_out": ["A"], "out": folder}
    return Namespace(**shaping | run | changed)


DATA = Namespace(sha256="of the scans")


@pytest.mark.parametrize(
    "changed", [{"lr": 0.01}, {"architecture": "medmamba"}, {"weights": None}, {"data": [Path("o.npz")]}, {"steps": 9}]
)
def test_a_run_goes_on_with_what_it_was_begun_with_alone(tmp_path, changed):
    check_begun(options(tmp_path), DATA)
    check_begun(options(tmp_path, **changed), DATA)  # nothing has been trained yet
    check_begun(options(tmp_path), DATA)
    (tmp_path / "checkpoint.safetensors").touch()
    check_begun(options(tmp_path), DATA)
    with pytest.raises(SystemExit, match="was begun with another"):
        check_begun(options(tmp_path, **changed), DATA)
    with pytest.raises(SystemExit, match="was begun with another data sha256"):
        check_begun(options(tmp_path), Namespace(sha256="of others"))


def test_recorded_is_what_the_run_started_from(tmp_path, monkeypatch):
    monkeypatch.setattr(leave_one_out, "parsed", lambda: options(tmp_path, record=False, bundle="b", init_saw=[]))
    monkeypatch.setattr(leave_one_out, "load_collections", lambda *_: DATA)
    monkeypatch.setattr(leave_one_out, "without_sites", lambda *_: Namespace(split=str, sha256=""))
    monkeypatch.setattr(leave_one_out, "chosen_sites", lambda *_: ["A"])
    monkeypatch.setattr(leave_one_out, "keep", lambda folder, site, row: seen.update({site: row}))
    run = Namespace(finished=True, history={"started_from": "what the checkpoint says"})
    monkeypatch.setattr(leave_one_out.classifier, "trained", lambda *_: run)
    seen: dict = {}
    monkeypatch.setattr(leave_one_out, "results", lambda *_: {"all": {}})
    leave_one_out.main()
    assert seen["A"]["started_from"] == "what the checkpoint says" and read_json(tmp_path / "A" / "begun.json")
