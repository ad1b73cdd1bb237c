"""The recipe of the fault studies on tiny networks, and what the tables say of its figures."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.bundles import BundleError, classifier_sha256, file_sha256, load_bundle, loading
from core.evaluation.datasets import load_for
from core.faults import network_digest
from core.faults.record import STUDIES, read_faults
from core.models.experts import resnet_mixture
from tests.cells import CLASSES, NAME, SIDE, write_bundle
from training.measure import faults
from training.measure.flips import bench as fault_bench
from training.measure.flips import studies as fault_studies
from training.publish.faults import faults_page

ONCE = fault_bench.Effort(one_flip=2, flips=1, stages=1, tensors=0, bits=1, activations=1, guard=1, map=1, experts=1)
SMALL = {
    "SCANS": 6,
    "CALIBRATION": 6,
    "CLEAN_RUNS": 20,
    "FLIPS": (1, 4),
    "WORST_FLIPS": 1,
    "PGD_STEPS": 1,
    "ATTACK_EPS": (4,),
    "SEVERITIES": (1, 5),
    "MAP_FLIPS": (4,),
    "MAP_EPS": (0, 4),
    "WHOLE": ONCE,
    "MIXTURE": ONCE,
}
FEW = ["flips", "worst_case", "guard", "clean_runs", "cost"]
STUDIED = {"resnet18": None, "mamba": FEW, "pair": [*FEW, "layers", "experts"]}  # None for all


@pytest.fixture(scope="module")
def patched():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def measured(patched, tmp_path_factory):
    """A bundle of a ResNet, a MedMamba and a mixture; its data set; measured once."""
    weights = tmp_path_factory.mktemp("weights")
    folder = write_bundle(weights)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(resnet_mixture(3, len(CLASSES), count=2, width=4).state_dict(), folder / "pair.safetensors")
    facts = json.loads((folder / "bundle.json").read_text())
    form = {"file": "pair.safetensors", "architecture": "resnet18-mixture", "config": {"count": 2, "width": 4}}
    form["experts"] = [{"name": "Clean", "training": "On clean scans."}, {"name": "PGD-2", "training": "On attacked."}]
    facts["classifiers"]["pair"] = form
    facts["files"]["pair.safetensors"] = file_sha256(folder / "pair.safetensors")
    (folder / "bundle.json").write_text(json.dumps(facts))
    patched.setattr(loading, "WEIGHTS", weights)
    for name, value in SMALL.items():
        for module in (faults, fault_bench, fault_studies):
            if hasattr(module, name):
                patched.setattr(module, name, value)
    bundle = load_bundle(NAME)
    options = argparse.Namespace(data=[data_set(weights)], per_site=None, seed=0)
    data = load_for(bundle, options.data[0])
    before = {name: network_digest(network) for name, network in bundle.classifiers.items()}
    for classifier, studies in STUDIED.items():
        chosen = argparse.Namespace(**vars(options), classifier=[classifier], only=studies)
        faults.record_faults(data, bundle, chosen)
    assert before == {name: network_digest(network) for name, network in bundle.classifiers.items()}
    return bundle, data, options, folder


def data_set(folder: Path) -> Path:
    random = np.random.default_rng(0)
    path = folder / "cells.npz"
    images = random.integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)
    np.savez(path, image=images, label=np.arange(16) % 8, group=np.arange(16), split=np.arange(16) % 2)
    return path


def test_every_study_is_read_back(measured):
    bundle, *_ = measured
    for classifier, studies in STUDIED.items():
        read = read_faults(bundle, classifier)
        assert set(read.studies) == set(studies or STUDIES) and not read.stale and read.lack("flips") is None
        assert read.ranges.n == 12 and "head" in str(list(read.ranges.limits))
    study = read_faults(bundle, "resnet18").studies["bits"]
    assert (study.n, study.seed, study.made_with) == (6, 0, classifier_sha256(bundle, "resnet18"))
    assert study.command.endswith("--classifier resnet18 --only bits")
    assert [row.bit for row in study.rows] == [*range(32), *range(16)]
    assert [row.field for row in study.rows][30:34] == ["exponent", "sign", "mantissa", "mantissa"]


def test_flips_begin_with_the_undamaged_network(measured):
    bundle, *_ = measured
    read = read_faults(bundle, "resnet18")
    assert [(row.flips, row.trials) for row in read.rows("flips")] == [(0, 1), (1, 2), (4, 1)]
    clean = read.rows("attacks")[0]
    assert (clean.method, clean.eps) == ("none", 0) and clean.accuracy == read.rows("flips")[0].accuracy
    assert read.rows("map")[0].accuracy == clean.accuracy
    low, high = read.rows("flips")[0].interval
    assert low <= clean.accuracy <= high


def test_the_guard_sees_and_repairs_what_it_must(measured):
    bundle, *_ = measured
    for classifier in ("resnet18", "mamba", "pair"):
        read = read_faults(bundle, classifier)
        clean = read.rows("flips")[0].accuracy
        by_weights = [row for row in read.rows("guard") if row.damage != "activations"]
        assert {row.guard for row in by_weights} == {"off", "detect", "repair"}
        for row in by_weights:
            assert row.alarms == (row.guard != "off") and row.refused == (row.guard == "detect")
            if row.guard == "repair":
                assert (row.repaired, row.accuracy) == (1, pytest.approx(clean))
        assert all(row.detected and row.repaired for row in read.rows("worst_case"))
        (runs,) = read.rows("clean_runs")
        assert (runs.runs, runs.weight_alarms) == (20, 0)
        assert all(0 < row.bytes < row.weight_bytes for row in read.rows("cost"))


def test_layers_name_every_stage_and_experts_are_asked_alone(measured):
    bundle, *_ = measured
    names = [row.name for row in read_faults(bundle, "pair").rows("layers")]
    assert "experts.1.layer4.1" in names and "gate" in names
    experts = read_faults(bundle, "pair").rows("experts")
    assert [(row.expert, row.flips) for row in experts][:4] == [("Clean", 0), ("Clean", 1), ("Clean", 16), ("PGD-2", 0)]
    assert read_faults(bundle, "resnet18").rows("experts") == ()


def test_only_what_is_not_of_today_is_measured_again(measured, monkeypatch):
    bundle, data, options, folder = measured
    path = folder / "faults.json"
    kept = path.read_text()
    entries = json.loads(kept)
    entries["resnet18"]["flips"]["made_with"] = "another file"
    path.write_text(json.dumps(entries))
    read = read_faults(bundle, "resnet18")
    assert read.stale == {"flips"} and read.rows("flips") == () and "other weights" in read.lack("flips")
    asked = []
    monkeypatch.setattr(faults, "MEASURES", {name: lambda _, name=name: asked.append(name) or [] for name in STUDIES})
    faults.record_faults(data, bundle, argparse.Namespace(**vars(options), classifier=["resnet18"]))
    assert asked == ["flips"] and read_faults(bundle, "resnet18").lack("flips") is None
    path.write_text(kept)


def test_other_scans_or_another_seed_are_measured_again(measured, monkeypatch):
    bundle, data, options, folder = measured
    path = folder / "faults.json"
    kept = path.read_text()
    asked = []
    monkeypatch.setattr(faults, "MEASURES", {name: lambda _, name=name: asked.append(name) or [] for name in STUDIES})

    def again(data, **changed):
        path.write_text(kept)
        asked.clear()
        chosen = {"classifier": ["resnet18"], "only": ["flips"], **vars(options), **changed}
        faults.record_faults(data, bundle, argparse.Namespace(**chosen))
        return asked

    assert again(data) == [] and again(data, seed=1) == ["flips"]
    assert again(replace(data, sha256="of other scans")) == ["flips"]
    read = read_faults(bundle, "resnet18")
    assert read.studies["flips"].data_sha256 == "of other scans" and read.ranges is not None
    path.write_text(kept)


def test_a_record_without_a_digest_is_held_against_what_it_names(measured):
    bundle, data, options, folder = measured
    entry = json.loads((folder / "faults.json").read_text())["resnet18"]["flips"]
    today = {"made_with": entry["made_with"], "data_sha256": data.sha256, "seed": 0}
    earlier = {key: value for key, value in entry.items() if key != "data_sha256"}
    assert faults.is_fresh(earlier, today, ("cells.npz",)) and not faults.is_fresh(earlier, today, ("other.npz",))
    assert not faults.is_fresh(earlier, today | {"seed": 1}, ("cells.npz",))
    assert faults.is_fresh({"made_with": entry["made_with"], "limits": {}}, today, ("other.npz",))


def test_what_a_user_added_is_not_written_into_shipped_records(measured, monkeypatch):
    bundle, data, options, folder = measured
    asked = []
    monkeypatch.setattr(faults, "record_classifier", lambda bench, *_: asked.append(bench.classifier))
    with_added = replace(bundle, added={"mamba": folder / "mamba.safetensors"})
    faults.record_faults(data, with_added, options)
    assert asked == [name for name in bundle.classifiers if name != "mamba"]
    with pytest.raises(SystemExit, match="mamba was added"):
        faults.record_faults(data, with_added, argparse.Namespace(**vars(options), classifier=["mamba"]))


def test_with_recorded_nothing_is_measured(measured, monkeypatch):
    bundle, data, options, _ = measured
    monkeypatch.setattr(faults, "record_classifier", None)
    faults.record_faults(data, bundle, argparse.Namespace(**vars(options), recorded=True))


def test_a_missing_record_says_what_to_run_and_a_damaged_one_is_named(measured):
    bundle, _, _, folder = measured
    path = folder / "faults.json"
    kept = path.read_text()
    path.unlink()
    lack = read_faults(bundle, "mamba").lack("map")
    assert "hasn't been measured yet" in lack and f"--bundle {NAME} --classifier mamba --only map" in lack
    for text in ("[1", '{"mamba": {"flips": {}}}', json.dumps(json.loads(kept) | {"mamba": []})):
        path.write_text(text)
        with pytest.raises(BundleError, match="faults.json can't be read"):
            read_faults(bundle, "mamba")
    path.write_text(kept)


def test_the_card_shows_every_study(measured):
    bundle, *_ = measured
    text = faults_page([bundle])
    titles = ["Random flips", "The worst flips", "The guard", "False alarms", "What the guard costs", "Attacks"]
    titles += ["One flip of a given bit", "One flip in a stage", "Corruptions", "Flips and attacks", "Experts of pair"]
    assert all(f"**{title}" in text for title in titles) and "within one layer" in text and "nan" not in text
    for block in text.split("\n\n"):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert len([line for line in text.splitlines() if line.startswith(f"| {NAME}, ")]) == 3
