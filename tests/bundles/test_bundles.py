import json
import shutil
from dataclasses import replace

import pytest
import torch

from core import examine, load_scan
from core.bundles import BundleError, load_bundle, loading
from core.scans import sample_scans


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The real bundle in a folder where a test may spoil it."""
    shutil.copytree(loading.WEIGHTS / "brain-mri", tmp_path / "brain-mri")
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", tmp_path)
    return tmp_path / "brain-mri"


@pytest.mark.slow
def test_bundle_states_what_pages_need(bundle):
    assert bundle.classes == ("no tumour", "tumour")
    assert (bundle.resolution, bundle.channels) == (128, 1)
    calibration = bundle.calibrations["resnet18"]
    assert len(calibration.clean["amv"]) == len(calibration.groups) == len(calibration.labels) > 50
    assert set(bundle.limits["resnet18"].thresholds) == {"amv", "agreement", "instability"}
    assert bundle.facts["calibrated"]["command"]


def test_what_a_classifier_learned_from_is_known(bundle):
    assert bundle.collections("vit") == ("br35h",) and bundle.collections("nobody") == ()
    assert set(bundle.collections("resnet18")) == {"br35h", "tcga-lgg", "cheng"}


def test_every_weight_file_is_hashed(bundle):
    files = {path.name for path in (loading.WEIGHTS / "brain-mri").glob("*.safetensors")}
    assert files | {"calibration.json"} == set(bundle.hashes)


def test_a_changed_file_is_refused_by_name(copied):
    weights = copied / "resnet18.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BundleError, match=r"brain-mri/resnet18\.safetensors .*SHA-256.*\.$"):
        load_bundle("brain-mri")


def test_a_missing_file_is_refused_by_name(copied):
    (copied / "mae.safetensors").unlink()
    with pytest.raises(BundleError, match=r"mae\.safetensors is missing"):
        load_bundle("brain-mri")


def test_broken_facts_are_a_sentence(copied):
    (copied / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match=r"bundle\.json can't be read"):
        load_bundle("brain-mri")


def test_facts_that_miss_a_key_are_a_sentence(copied):
    facts = json.loads((copied / "bundle.json").read_text())
    del facts["limits"]
    (copied / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="limits"):
        load_bundle("brain-mri")


def test_a_mixture_whose_experts_are_not_all_named_is_a_sentence(copied):
    facts = json.loads((copied / "bundle.json").read_text())
    entry = {"architecture": "resnet18-mixture", "config": {"count": 3, "width": 4}, "experts": []}
    facts["classifiers"]["resnet18"] |= entry
    (copied / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=r"^resnet18\.safetensors holds 3 experts and bundle\.json names 0"):
        load_bundle("brain-mri")


def test_a_classifier_without_thresholds_examines_nothing(bundle):
    scan = load_scan(next(sample.path for sample in sample_scans("brain-mri")))
    with pytest.raises(BundleError, match="^The classifier 'resnet18' .* has no thresholds yet.*are: none.$"):
        examine(scan, replace(bundle, limits={}))


def test_unknown_names_are_sentences(bundle):
    with pytest.raises(BundleError, match="no bundle named 'x'.*brain-mri"):
        load_bundle("x")
    with pytest.raises(BundleError, match="no classifier named 'vgg'.*resnet18"):
        bundle.classifier_name("vgg")


def test_shared_networks_ask_for_no_gradients_but_let_them_through(bundle):
    network = bundle.classifiers["resnet18"]
    assert not any(weight.requires_grad for weight in network.parameters())
    pixels = torch.rand(1, 1, 128, 128, requires_grad=True)
    network(pixels).sum().backward()
    assert pixels.grad.abs().sum() > 0
