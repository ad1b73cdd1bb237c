"""The federated recipe on a tiny network and random scans: rounds, resuming, what it writes, and what it measures."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from core.evaluation.datasets import Dataset
from core.federation import losses
from core.federation.averaging import personal_names
from core.federation.hospitals import PROFILES, Hospital
from core.models.experts import MixtureOfExperts, resnet_mixture
from core.models.resnet import NarrowResNet18
from training.recipes import federation, medfedpure, mixture_figures
from training.recipes.mixture_figures import pooled_figures

HOSPITALS = [Hospital(indices=(), **profile) for profile in PROFILES]


@pytest.fixture
def words(tmp_path):
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "tiny.npz",
        image=random.integers(0, 255, (28, 128, 128), dtype=np.uint8),
        label=np.array([0, 1] * 14),
        group=np.arange(28),
        split=np.array([0] * 24 + [1] * 4),
    )
    small = [
        "--width",
        2,
        "--shrink",
        2,
        "--batch",
        4,
        "--steps",
        2,
        "--rounds",
        2,
        "--gate-steps",
        1,
        "--invented-scanners",
    ]
    return ["--data", tmp_path / "tiny.npz", *small]


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["training/recipes/medfedpure.py", *map(str, words)])
    medfedpure.main()


@pytest.mark.slow
def test_the_recipe_writes_a_mixture_that_loads_its_baselines_and_a_card(words, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(monkeypatch, *words, "--out", out)
    weights = load_file(out / "medfedpure.safetensors")
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float16}
    resnet_mixture(1, 2, 3, 2, 2).load_state_dict({name: value.float() for name, value in weights.items()})
    card = json.loads((out / "medfedpure.json").read_text())
    assert {"command", "split", "seed", "commit", "minutes", "started_from"} <= set(card)
    assert card["steps"] == 5
    metrics = card["metrics"]
    form = json.loads((out / "medfedpure.form.json").read_text())
    names = [expert["name"] for expert in form["experts"]]
    assert list(metrics["accuracy"]) == ["mixture", *names, "plain FedAvg", "starting weights"]
    assert set(metrics["mixture_gain"]) == {*names, "plain FedAvg", "starting weights"}
    assert sum(sum(site["images"].values()) for site in metrics["hospitals"]) == 24
    assert all(sum(shares) == pytest.approx(1, abs=1e-5) for shares in metrics["mean_gate_weights"].values())
    assert form["config"] == {"count": 3, "width": 2, "shrink": 2}
    for name in ("university-hospital", "district-hospital", "mobile-unit", "plain-fedavg"):
        NarrowResNet18(1, 2, 2, 2).load_state_dict(load_file(out / f"{name}.safetensors"))


@pytest.mark.slow
def test_real_hospitals_are_the_sites_of_the_collections(collections, tmp_path, monkeypatch):
    words = ["--width", 2, "--shrink", 4, "--batch", 4, "--steps", 1, "--rounds", 1, "--gate-steps", 1]
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="fewer than two sites"):
        run(monkeypatch, "--data", *collections, "--out", out, *words)
    run(monkeypatch, "--data", *collections, "--out", out, *words, "--smallest", 2)
    metrics = json.loads((out / "medfedpure.json").read_text())["metrics"]
    assert [site["name"] for site in metrics["hospitals"]] == ["A", "B", "tumours"]
    assert metrics["hospitals"][2]["images"] == {"no tumour": 0, "tumour": 8}
    assert list(metrics["mean_gate_weights"]) == ["plain", "A", "B", "tumours"]
    of_each = [metrics["accuracy"]["mixture"][name]["value"] for name in ("A", "B", "tumours")]
    assert metrics["accuracy"]["mixture"]["pooled"]["value"] == pytest.approx(np.average(of_each, weights=[4, 4, 8]))
    assert "Invented" not in (out / "medfedpure.form.json").read_text()


@pytest.mark.slow
def test_experts_share_their_convolutions_and_nothing_personal(words, tmp_path, monkeypatch):
    run(monkeypatch, *words, "--out", tmp_path / "out")
    weights = load_file(tmp_path / "out/medfedpure.safetensors")
    personal = personal_names(NarrowResNet18(1, 2, 2), federation.HEAD)
    first, second = (
        {name.removeprefix(own): value for name, value in weights.items() if name.startswith(own)}
        for own in ("experts.0.", "experts.1.")
    )
    differing = {name for name in first if not torch.equal(first[name], second[name])}
    assert differing <= personal
    assert {"network.bn1.running_mean", "network.layer4.1.bn2.running_var", "network.fc.weight"} <= differing


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(words, tmp_path, monkeypatch, capsys):
    run(monkeypatch, *words, "--out", tmp_path / "whole")
    run(monkeypatch, *words, "--out", tmp_path / "cut", "--minutes", 0)
    assert "is not finished" in capsys.readouterr().out
    rounds = federation.Federation._round
    monkeypatch.setattr(federation.Federation, "_round", cut_off_after(rounds, 3))
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, *words, "--out", tmp_path / "cut")
    monkeypatch.undo()
    run(monkeypatch, *words, "--out", tmp_path / "cut")
    whole, cut = (load_file(tmp_path / place / "medfedpure.safetensors") for place in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def cut_off_after(function, calls):
    left = iter(range(calls))

    def called(*given):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*given)

    return called


def test_plain_scans_get_a_look_and_purified_copies_have_theirs_already(monkeypatch):
    monkeypatch.setattr(federation, "augmented_scans", lambda pixels, generator: pixels)
    monkeypatch.setattr(federation, "site_look", lambda pixels, hospital, generator: pixels + hospital)
    versions = torch.stack([torch.zeros(64, 1, 2, 2), torch.full((64, 1, 2, 2), 5.0)], 1)
    seen = federation.shown(versions, torch.Generator().manual_seed(0), (None, 1.0, 2.0))
    values, counts = seen[:, 0, 0, 0].unique(return_counts=True)
    assert values.tolist() == [0, 1, 2, 5]
    assert 20 < counts[3] < 44


class Brightness(nn.Module):
    """Class 1 where the mean pixel is above a threshold."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, pixels):
        mean = pixels.mean((1, 2, 3)) - self.threshold
        return torch.stack([-mean, mean], 1)


class Scores(nn.Module):
    """A gate that says 3 : 1 to every scan."""

    def forward(self, pixels):
        return torch.tensor([[3.0, 1.0]]).log().expand(len(pixels), -1)


def test_the_gates_loss_by_hand():
    """Weights ¾ and ¼ of the logits (−.3, .3) and (−.7, .7): (−.4, .4). The entropy is ¾ ln 4/3 + ¼ ln 4."""
    mixture = MixtureOfExperts([Brightness(0.5), Brightness(0.1)], Scores())
    with torch.no_grad():
        loss = losses.gate_loss(mixture, torch.full((3, 1, 4, 4), 0.8), torch.ones(3).long())
    entropy = 0.75 * np.log(4 / 3) + 0.25 * np.log(4)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-0.8)) - losses.ENTROPY * entropy, abs=1e-3)


def test_measured_figures_by_hand(monkeypatch):
    """Two scans of .2 and .8 in two groups. The good expert finds both; the bad one says 1 to all, so finds one."""
    monkeypatch.setattr(mixture_figures, "every_look", lambda pixels, hospitals, seed: torch.stack([pixels] * 2))
    pixels = torch.stack([torch.full((1, 4, 4), 0.2), torch.full((1, 4, 4), 0.8)])
    val = Dataset(pixels, torch.tensor([0, 1]), ("a", "b"), (), "")
    good, bad = Brightness(0.5), Brightness(0.1)
    networks = {"mixture": MixtureOfExperts([good, bad], Scores()), "good": good, "bad": bad}
    metrics = pooled_figures(networks, HOSPITALS[:2], val, None, 0)
    assert metrics["accuracy"]["bad"]["pooled"]["value"] == 0.5
    assert metrics["accuracy"]["mixture"]["pooled"] == {"value": 1.0, "interval": (1.0, 1.0)}
    assert metrics["mixture_gain"]["bad"]["pooled"] == {"value": 0.5, "interval": (0.0, 1.0)}
    assert metrics["mixture_gain"]["good"]["plain"] == {"value": 0.0, "interval": (0.0, 0.0)}
    assert metrics["mean_gate_weights"]["plain"] == pytest.approx([0.75, 0.25])
    assert set(metrics["holds"].values()) == {True}
    networks = {"mixture": bad_mixture(bad), "better": good}
    assert list(pooled_figures(networks, HOSPITALS[:2], val, None, 0)["holds"].values()) == [False, True, True]


def bad_mixture(expert):
    return MixtureOfExperts([expert, expert], Scores())


def test_a_hospital_keeps_a_purified_copy_of_what_its_own_scanner_shows(monkeypatch):
    monkeypatch.setattr(medfedpure, "site_look", lambda pixels, hospital, generator: pixels + 1)
    monkeypatch.setattr(medfedpure, "purified_copy", lambda pixels, diffusion, generator: 10 * pixels)
    train = Dataset(torch.arange(3.0).view(3, 1, 1, 1), torch.tensor([0, 1, 0]), ("a", "b", "c"), (), "")
    hospital = SimpleNamespace(indices=(1, 2))
    versions, labels = medfedpure.site_data(train, hospital, SimpleNamespace(), 0)
    assert versions.flatten().tolist() == [1, 20, 2, 30]
    assert labels.tolist() == [1, 0]
    assert medfedpure.site_data(train, hospital, None, 0)[0].shape == (2, 1, 1, 1, 1)
