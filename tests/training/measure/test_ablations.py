"""The ablations on a handful of images: a row says what it was made with, and what is known is not measured again."""

import json
from types import SimpleNamespace

import pytest
import torch

from core.attacks import AttackSettings
from core.models.experts import resnet_mixture
from core.models.resnet import NarrowResNet18
from training.measure import ablations
from training.recipes import mixture_figures

SMALL = ["--batch", 6, "--width", 2, "--shrink", 4, "--steps", 1, "--joint-steps", 1]
SMALL += ["--expert-iterations", 1, "--iterations", 1, "--limit", 1]
VARIANTS = {
    "joint": ablations.PLAIN | {"experts": "1-1-1"},
    "frozen": ablations.PLAIN | {"experts": "1-1-1", "frozen": True},
    "hard": ablations.PLAIN | {"experts": "1-1-1", "hard": True},
}


@pytest.fixture
def recipe(monkeypatch, data, run, tmp_path):
    """Runs the recipe with three variants and one attack; results.json holds another recipe's key."""
    (tmp_path / "brain-mri").mkdir()
    (tmp_path / "brain-mri/results.json").write_text('{"looks": {"resnet18": 1}}')
    bundle = SimpleNamespace(classifiers={"dwf": resnet_mixture(1, 2, 3, 2, 4).eval()}, folder=tmp_path / "brain-mri")
    rival = NarrowResNet18(1, 2, 2, 4).eval()
    monkeypatch.setattr(ablations, "load_bundle", lambda name: bundle)
    monkeypatch.setattr(ablations, "one_network", lambda folder: rival)
    monkeypatch.setattr(ablations, "VARIANTS", VARIANTS)
    monkeypatch.setattr(ablations, "UNSEEN", (AttackSettings("fgsm", eps=51),))

    def rows(*words):
        run(ablations, "--data", data, "--out", tmp_path / "out", "--mixture", tmp_path, *SMALL, *words)
        return json.loads((tmp_path / "brain-mri/results.json").read_text())

    return rows


@pytest.mark.slow
def test_rows_say_what_they_were_made_with_and_other_keys_stay(recipe):
    report = recipe()
    assert report["looks"] == {"resnet18": 1}
    variants, unseen = report["ablations"]["variants"], report["ablations"]["unseen"]
    assert list(variants) == list(VARIANTS) and list(unseen) == ["mixture, fgsm 51/255", "one network, fgsm 51/255"]
    assert len({row["made_with"]["weights_sha256"] for row in variants.values()}) == 3
    for row in (*variants.values(), *unseen.values()):
        assert row["command"].startswith("python -m training.measure.ablations --data tiny.npz")
        assert row["made_with"]["seed"] == 0
    assert variants["hard"]["pgd 8/255"]["n"] == variants["hard"]["made_with"]["n"] == 2
    assert unseen["mixture, fgsm 51/255"]["n"] == 1 and len(unseen["mixture, fgsm 51/255"]["interval"]) == 2
    assert list(variants["joint"]["gate"]) == ["Clean", "FGSM 0.08", "PGD-1"]


@pytest.mark.slow
def test_what_is_known_is_not_measured_again(recipe, monkeypatch, capsys):
    first = recipe("--minutes", 0)
    assert "run the same command again" in capsys.readouterr().out and "ablations" not in first
    first, figure, measured = recipe(), mixture_figures.figure, []

    def counted(network, val, settings, seed):
        measured.append(settings)
        return figure(network, val, settings, seed)

    for module in (ablations, mixture_figures):
        monkeypatch.setattr(module, "figure", counted)
    assert recipe() == first and not measured
    assert recipe("--limit", 2)["ablations"]["unseen"]["mixture, fgsm 51/255"]["n"] == 2 and len(measured) == 2


def test_the_digest_is_of_names_and_values():
    network = torch.nn.Linear(2, 1)
    before = ablations.weights_sha256(network)
    assert before == ablations.weights_sha256(network)
    with torch.no_grad():
        network.bias += 1
    assert before != ablations.weights_sha256(network)
