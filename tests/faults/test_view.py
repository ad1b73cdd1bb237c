"""What the Faults page shows of a damaged network, on networks of random weights."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from core import load_bundle, load_scan
from core.defence.examination import Prediction
from core.faults import CampaignSettings, Fault, damaged, fault_sites, flipped_value, network_digest
from core.faults.guard import Guard
from core.faults.ranges import learn_ranges
from core.faults.view import (
    answered,
    answered_with,
    finite,
    guarded,
    largest_weight,
    layers,
    random_faults,
    same_answer,
    stored_value,
)
from core.models.experts import resnet_mixture
from core.models.resnet import NarrowResNet18
from core.scans import sample_scans

BIAS = "network.fc.bias"


def small(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NarrowResNet18(1, 2, width=4).eval().requires_grad_(False)


def pixels(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_every_number_is_in_one_layer() -> None:
    mixture = resnet_mixture(1, 2, count=2, width=4).eval()
    blocks = nn.ModuleDict({"norm": nn.Linear(2, 2), "blocks": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])})
    for network in (small(), mixture, blocks):
        found = [name for layer in layers(network) for name in layer.tensors]
        assert sorted(found) == sorted(fault_sites(network))
    assert {layer.part for layer in layers(mixture)} == {"experts.0", "experts.1", "gate"}
    assert [layer.name for layer in layers(blocks)] == ["norm", "blocks.0", "blocks.1"]
    assert layers(blocks)[0].elements == 6


def test_a_stored_value_with_and_without_flips() -> None:
    network = small()
    value = network.network.fc.bias[1].item()
    assert stored_value(network, BIAS, 1, "float32") == value
    assert stored_value(network, BIAS, 1, "float32", [30]) == flipped_value(value, 30)
    assert stored_value(network, BIAS, 1, "bfloat16", [14]) == flipped_value(value, 14, "bfloat16")
    assert network.network.fc.bias[1].item() == value
    weight = network.network.fc.weight
    assert weight.flatten()[largest_weight(network, "network.fc.weight")].abs() == weight.abs().max()


def test_a_buffer_that_is_in_no_file_has_values_too() -> None:
    """As the blur filters of timm's resnetblur50."""
    network = nn.Module()
    network.register_buffer("filt", torch.tensor([0.25, -0.5]), persistent=False)
    assert list(fault_sites(network)) == ["filt"]
    assert stored_value(network, "filt", 0, "float32") == 0.25 and largest_weight(network, "filt") == 1


def test_random_faults_come_from_seed_and_draw_alone() -> None:
    network, settings = small(), CampaignSettings(3, kind="activation", tensor="layer1.0", seed=5)
    scan = pixels(1)[0].numpy()
    first = random_faults(network, scan, settings, 1)
    assert first == random_faults(network, scan, settings, 1) != random_faults(network, scan, settings, 2)
    assert {fault.tensor for fault in first} == {"layer1.0"}
    with pytest.raises(ValueError, match="only 64 such bits"):
        random_faults(network, scan, CampaignSettings(65, tensor=BIAS), 0)


def test_an_answer_without_numbers_is_like_no_other() -> None:
    sound, broken = (Prediction("a", {"x": share, "y": 1 - share}) for share in (0.7, float("nan")))
    assert finite(sound) and not finite(broken)
    assert same_answer(sound, sound) and not same_answer(broken, broken)


def test_the_guard_looks_or_repairs() -> None:
    network = small()
    guard, faults = Guard(network, None, learn_ranges(network, pixels())), [Fault(BIAS, 0, 30)]
    digest = network_digest(network)
    copy, report = guarded(network, faults, None, True)
    assert report is None and network_digest(copy) != digest
    copy, report = guarded(network, faults, guard, False)
    assert report.damaged == (BIAS,) and report.withholds and not report.outcomes
    assert torch.equal(copy(pixels()), damaged(network, faults)(pixels())) and copy.left == ["head"]
    copy, report = guarded(network, faults, guard, True)
    assert report.outcomes == {BIAS: "corrected"} and report.alarm and not report.withholds
    assert torch.allclose(copy(pixels()), network(pixels()), atol=1e-6) and not copy.left
    assert network_digest(network) == digest


def test_activations_are_watched_and_cut() -> None:
    network = small()
    guard, faults = Guard(network, None, learn_ranges(network, pixels())), [Fault("layer1.0", 0, 30, kind="activation")]
    for repair in (False, True):
        copy, report = guarded(network, faults, guard, repair)
        logits = copy(pixels())
        assert not report.alarm and copy.left[0] == "layer1.0"
        assert (logits.abs().max() < 1e3) == repair


@pytest.mark.slow
def test_without_thresholds_a_classifier_answers_alone() -> None:
    full = load_bundle()
    bundle = dataclasses.replace(full, classifiers={**full.classifiers, "plain": small()})
    scan = load_scan(str(sample_scans("brain-mri")[0].path))
    exam = answered(scan, bundle, "plain")
    assert exam.detection is None and exam.prediction == exam.undefended
    after, report = answered_with(scan, bundle, "plain", [Fault(BIAS, 0, 30)], "plain")
    expected = damaged(bundle.classifiers["plain"], [Fault(BIAS, 0, 30)])(torch.from_numpy(exam.pixels)[None])
    assert report is None
    assert np.allclose(list(after.undefended.probabilities.values()), expected.softmax(1)[0])
