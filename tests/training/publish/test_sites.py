"""The table of hospitals: what was left out comes first, and what other weights reached is not shown."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from training.measure.sites import figures
from training.publish.sites import NOTHING_YET, left_out_table, sites_page


def measured(auc_of: bool = True) -> dict:
    """Figures of eight scans of four patients, with both classes or with tumours alone."""
    chances = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1, 0.4, 0.6])
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0]) if auc_of else np.ones(8, dtype=int)
    return figures(np.log(np.stack([1 - chances, chances], 1)), labels, np.array(list("aabbccdd")), 1.0)


@pytest.fixture
def bundle(tmp_path: Path) -> SimpleNamespace:
    """A bundle of which two classifiers were measured, one of them with weights of yesterday."""
    rows = {"A": {"all": measured(), "sequences": {"T1": measured()}}, "B": {"all": measured(auc_of=False)}}
    record = {"command": "python -m training.measure.sites --data a.npz", "all": measured(), "sites": {"A": measured()}}
    results = {
        "left_out": {"command": "python -m training.measure.leave_one_out --data a.npz", "sites": rows},
        "sites": {"new": record | {"weights_sha256": "1"}, "old": record | {"weights_sha256": "2"}},
    }
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    classifiers = {name: {"file": f"{name}.safetensors"} for name in ("new", "old")}
    hashes = {"new.safetensors": "1", "old.safetensors": "1"}
    return SimpleNamespace(name="discs", folder=tmp_path, lacks=None, facts={"classifiers": classifiers}, hashes=hashes)


def test_left_out_comes_first_and_old_weights_are_not_shown(bundle):
    page = sites_page([bundle])
    assert page.index("**Left out**") < page.index("**new**") and "**old**" not in page
    assert "| A, T1 | 8 | 4 | 0.875" in page and "`training.measure.leave_one_out --data a.npz`" in page
    assert "| B | 8 | 4 | – | 50.0 %" in page


def test_the_card_shows_sites_alone(bundle):
    lines = left_out_table(bundle, by_sequence=False)
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][2:] == ["| A", "| B"]


def test_what_was_not_measured_is_said(bundle):
    (bundle.folder / "results.json").unlink()
    assert NOTHING_YET in sites_page([bundle])
    bundle.lacks = "It has classifiers alone."
    assert "discs" not in sites_page([bundle])
