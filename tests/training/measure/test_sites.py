"""Figures by site, by hand; and a site left out is trained without, measured once, and not again."""

import json

import numpy as np
import pytest

from training.measure import leave_one_out, sites
from training.recipes.data import load_collections

WEIGHTS = ["--weights", "both/0=0.3", "both/1=0.3", "tumours/1=0.4"]


def test_shares_by_hand():
    """Four scans: a tumour found, one missed, and two without, both right. The AUC: three of four pairs in order."""
    chances = np.array([0.9, 0.2, 0.3, 0.1])
    scores = np.log(np.stack([1 - chances, chances], 1))
    found = sites.figures(scores, np.array([1, 1, 0, 0]), np.array(["a", "b", "c", "d"]), 1.0)
    assert (found["sensitivity"], found["specificity"], found["accuracy"], found["auc"]) == (0.5, 1, 0.75, 0.75)
    assert found["ece"] == found["ece_plain"] == pytest.approx((0.2 + 0.8 + 0.3) / 4)
    alone = sites.figures(scores[:2], np.array([1, 1]), np.array(["a", "b"]), 1.0)
    assert alone["auc"] is None and alone["specificity"] is None and alone["sensitivity"] == 0.5


def test_a_temperature_takes_back_what_was_multiplied():
    random = np.random.default_rng(0)
    chances = random.uniform(0.05, 0.95, 4000)
    labels = (random.uniform(size=4000) < chances).astype(int)
    scores = np.log(np.stack([1 - chances, chances], 1))
    assert sites.temperature(3 * scores, labels) == pytest.approx(3, rel=0.1)
    assert sites.probabilities(3 * scores, 3.0)[:, 1] == pytest.approx(chances)


def test_every_part_is_reported(collections):
    data = load_collections(collections)
    scores = np.random.default_rng(0).normal(size=(len(data), 2))
    found = sites.site_figures(data, scores, sites.fitted_apart(scores, data))
    assert found["all"]["n"] == 32 and set(found["collections"]) == {"both", "tumours"}
    assert set(found["sites"]) == {"A", "B", "tumours"} and set(found["sequences"]) == {"T1", "FLAIR", "not stated"}
    assert found["sites_and_sequences"]["A, T1"]["n"] == 4


def test_a_site_is_left_out_measured_and_not_trained_again(collections, run, tmp_path, monkeypatch):
    words = ["--data", *collections, "--out", tmp_path / "out", "--batch", 2, "--width", 2, "--steps", 1, *WEIGHTS]
    run(leave_one_out, *words, "--smallest", 2, "--sites", "A")
    record = json.loads((tmp_path / "out" / leave_one_out.RECORD).read_text())
    row = record["sites"]["A"]
    assert row["started_from"] == "random weights" and row["steps"] == 1 and row["left_out"] == ["A"]
    assert row["all"]["n"] == 8 and set(row["sequences"]) == {"T1", "FLAIR"}
    monkeypatch.setattr(leave_one_out.classifier, "trained", lambda *given: pytest.fail("trained again"))
    run(leave_one_out, *words, "--smallest", 2, "--sites", "A")
    weights = tmp_path / "out/A/resnet18.safetensors"
    run(sites, "--data", *collections, "--classifier", weights, "--out", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["sites"]["B"]["n"] == 4


def test_what_the_start_has_seen_must_be_said(collections, run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(leave_one_out, "--data", *collections, "--out", tmp_path, "--init", collections[0])
    assert "--init-saw" in capsys.readouterr().err
