"""MAE-Pure's settings, and what it does for a classifier that it wasn't made for, on a bundle of small networks."""

import argparse
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from core.purification.catalogue import purified_pixels
from core.purification.settings import PurifySettings
from tests.defended import NAME, defended_bundle, scans
from training.measure import purifiers, sensitivity
from training.measure.sensitivity import Row, all_rows, purified, record_sensitivity
from training.publish.purification import sensitivity_tables


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """With a second classifier, whose transfer is measured; few steps."""
    made = defended_bundle()
    entries = made.facts["classifiers"] | {"other": {"file": "other.safetensors"}}
    networks = {**made.classifiers, "other": defended_bundle(1).classifiers[NAME]}
    hashes = {**made.hashes, "other.safetensors": "4" * 64}
    monkeypatch.setattr(purifiers, "ATTACKED", tmp_path / "attacked")
    monkeypatch.setattr(purifiers, "weights_digest", lambda bundle, name: name)
    monkeypatch.setattr(sensitivity, "OTHERS", {made.name: "other"})
    monkeypatch.setattr(sensitivity, "VARIED", {"mae-pure": {"rate": (0.5,), "steps": (2,)}})
    facts = {**made.facts, "classifiers": entries}
    return dataclasses.replace(made, folder=tmp_path, classifiers=networks, hashes=hashes, facts=facts)


def options(only):
    return argparse.Namespace(data=[Path("a.npz")], per_site=None, seed=0, only=only)


def recorded(bundle):
    return json.loads((bundle.folder / "results.json").read_text())["sensitivity"]


def test_rows_are_named_and_only_of_what_the_bundle_has(bundle):
    names = [row.name for row in all_rows(bundle)]
    assert names[:3] == ["mae-pure", "mae-pure rate=0.5", "mae-pure steps=2"]
    assert names[3:] == ["transfer none", "transfer one-step", "transfer mae-pure"]


def test_one_setting_differs_and_the_others_are_the_purifiers_own(bundle):
    pixels = scans(2).pixels
    usual = purified_pixels(pixels, bundle, PurifySettings("mae-pure"))
    assert torch.equal(purified(Row("mae-pure"), pixels, bundle, 0), usual)
    fewer = purified(Row("mae-pure", "steps", 2), pixels, bundle, 0)
    assert torch.equal(fewer, purified_pixels(pixels, bundle, PurifySettings("mae-pure", steps=2)))
    assert not torch.equal(purified(Row("mae-pure", "rate", 0.5), pixels, bundle, 0), usual)


def test_rows_are_kept_as_they_come_and_not_measured_again(bundle, monkeypatch):
    val = scans(6)
    record_sensitivity(val, bundle, options(["mae-pure steps", "transfer none"]))
    record = recorded(bundle)
    assert [row["name"] for row in record["rows"]] == ["mae-pure steps=2", "transfer none"]
    network = bundle.classifiers["other"]
    plain = (network(val.pixels).argmax(1) == val.labels).double().mean().item()
    assert record["n"] == 6 and record["rows"][1]["clean"] == plain and record["rows"][1]["classifier"] == "other"
    assert record["rows"][1]["family"]["other.safetensors"] == "4" * 64
    monkeypatch.setattr(sensitivity, "measure", lambda *given: pytest.fail("measured again"))
    record_sensitivity(val, bundle, options(["mae-pure steps", "transfer none"]))
    lines = sensitivity_tables(record)
    assert any("figure 5" in line for line in lines) and any("other is attacked" in line for line in lines)
    assert any(line.startswith("| mae-pure steps=2 |") for line in lines)
    assert any(line.startswith("| none |") for line in lines)
