import dataclasses
import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.attacks import AttackSettings
from core.bundles import BundleError
from core.evaluation.datasets import load_dataset
from core.explanation.gates import GateRecord, gate_projection, read_gates
from core.models.experts import resnet_mixture
from training.measure import gates as recipe

FILE = {"file": "small.safetensors"}


def record(**conditions):
    rows = {name: np.array(rows, dtype=float) for name, rows in conditions.items()}
    return GateRecord((0, 1), rows, "python -m training.measure.gates", "val", "abc")


@pytest.fixture
def mixed(bundle, tmp_path):
    """The bundle with a small random mixture of three."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = resnet_mixture(1, 2, count=3, width=4, shrink=2).eval().requires_grad_(False)
    facts = bundle.facts | {"classifiers": bundle.facts["classifiers"] | {"small": FILE}}
    hashes = dict(bundle.hashes) | {FILE["file"]: "abc"}
    classifiers = dict(bundle.classifiers) | {"small": network}
    made = {"classifiers": classifiers, "facts": facts, "hashes": hashes}
    return dataclasses.replace(bundle, folder=tmp_path / bundle.name, **made)


@pytest.fixture
def weights(tmp_path, mixed):
    """An empty folder in place of weights/."""
    (tmp_path / mixed.name).mkdir()
    return tmp_path


def test_the_plane_by_hand():
    """Along (1, −1, 0)/√2 the squares sum to .36, along (1, 1, −2)/√6 to .18, and nothing is left."""
    made = record(clean=[[0.8, 0.2, 0], [0.2, 0.8, 0]], pgd=[[0.5, 0.5, 0], [0.3, 0.3, 0.4]])
    plane = gate_projection(made)
    assert plane.centre == pytest.approx([0.45, 0.45, 0.1])
    assert plane.explained == pytest.approx([2 / 3, 1 / 3])
    assert np.abs(plane.axes[0]) == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0], abs=1e-9)
    assert plane.axes[1] == pytest.approx(np.array([-1, -1, 2]) / np.sqrt(6))
    for row in made.conditions["clean"]:
        place = plane.place([row])[0]
        assert plane.centre + place @ plane.axes == pytest.approx(row)


def test_how_far_an_attack_moves_the_gate():
    made = record(clean=[[0.8, 0.2], [0.4, 0.6]], pgd=[[0.7, 0.3], [0.1, 0.9]])
    assert made.shift("pgd") == pytest.approx([-0.2, 0.2]) and made.shift("clean") == pytest.approx([0, 0])
    assert made.spread() == pytest.approx([0.2, 0.2])


def test_the_first_axis_has_most_of_the_variance():
    plane = gate_projection(record(clean=[[0.9, 0.1], [0.1, 0.9]], pgd=[[0.6, 0.4], [0.4, 0.6]]))
    assert np.abs(plane.axes[0]) == pytest.approx([np.sqrt(0.5)] * 2) and plane.axes[0].max() > 0
    assert plane.explained == pytest.approx([1, 0])
    assert plane.place([[0.9, 0.1], [0.1, 0.9]])[:, 0] == pytest.approx([0.4 * np.sqrt(2), -0.4 * np.sqrt(2)])


def test_a_gate_that_never_moves_is_one_point():
    plane = gate_projection(record(clean=[[0.5, 0.5], [0.5, 0.5]]))
    assert plane.place([[0.5, 0.5]]).tolist() == [[0, 0]] and plane.explained.tolist() == [0, 0]


def test_mean_weights():
    assert record(clean=[[0.8, 0.2], [0.4, 0.6]]).mean("clean") == pytest.approx([0.6, 0.4])


@pytest.mark.slow
def test_nothing_recorded(weights, mixed):
    assert read_gates(mixed, "small") is None
    (weights / mixed.name / "gates.json").write_text("{}")
    assert read_gates(mixed, "small") is None


@pytest.mark.parametrize(
    "text", ["no json", '{"small": {}}', '{"small": 1}', '{"small": {"labels": [0], "conditions": {"clean": [1]}}}']
)
def test_a_damaged_record_gives_one_sentence(weights, mixed, text):
    (weights / mixed.name / "gates.json").write_text(text)
    with pytest.raises(BundleError, match="training.measure.gates again"):
        read_gates(mixed, "small")


def test_the_recipe_records_what_the_gate_says(weights, mixed, sample_set, monkeypatch):
    monkeypatch.setattr(recipe, "CONDITIONS", (AttackSettings(), AttackSettings("fgsm", eps=4)))
    data = load_dataset(sample_set, mixed.classes, mixed.resolution, mixed.channels).limited(5, 0)
    options = Namespace(data=[Path("samples.npz")], seed=0, limit=5)
    recipe.record_gates(data, mixed, "small", options)
    made = read_gates(mixed, "small")
    assert list(made.conditions) == ["clean", "fgsm 4/255"] and made.labels == tuple(data.labels.tolist())
    expected = mixed.classifiers["small"].weights(data.pixels)
    assert made.conditions["clean"] == pytest.approx(expected.numpy(), abs=1e-4)
    assert made.command == "python -m training.measure.gates --data samples.npz --bundle brain-mri --limit 5 --seed 0"
    other = dataclasses.replace(mixed, hashes=dict(mixed.hashes) | {FILE["file"]: "new"})
    assert read_gates(other, "small") is None


def test_a_recorded_condition_is_not_measured_again(weights, mixed, sample_set, monkeypatch):
    monkeypatch.setattr(recipe, "CONDITIONS", (AttackSettings(),))
    data = load_dataset(sample_set, mixed.classes, mixed.resolution, mixed.channels).limited(2, 0)
    options = Namespace(data=[Path("samples.npz")], seed=0, limit=2)
    recipe.record_gates(data, mixed, "small", options)
    path = weights / mixed.name / "gates.json"
    entry = json.loads(path.read_text())["small"]
    entry["conditions"]["clean"] = [[1.0, 0.0, 0.0]] * 2
    path.write_text(json.dumps({"small": entry, "another": {"kept": True}}))
    recipe.record_gates(data, mixed, "small", options)
    assert read_gates(mixed, "small").conditions["clean"].tolist() == [[1, 0, 0]] * 2
    recipe.record_gates(data, mixed, "small", Namespace(data=[Path("samples.npz")], seed=1, limit=2))
    assert read_gates(mixed, "small").conditions["clean"].tolist() != [[1, 0, 0]] * 2
    assert json.loads(path.read_text())["another"] == {"kept": True}
