from types import SimpleNamespace

import pytest
import torch
from torch import nn

from core.faults import (
    Fault,
    activation_sites,
    check_fault,
    damaged,
    damaged_bundle,
    fault_sites,
    network_digest,
    network_parts,
    stage_of,
)
from core.faults.parts import float_tensors
from core.models.mamba import MedMamba
from core.models.resnet import NarrowResNet18
from tests.faults.chains import Layered, Signs, halves, images, mixture

NETWORKS = [
    NarrowResNet18(1, 2, width=4),
    NarrowResNet18(3, 8, width=4, shrink=2),
    NarrowResNet18(1, 2, width=4, mirrored=True),
    MedMamba(1, 2),
    Layered(),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_stages_in_order_are_the_network_and_share_out_its_memory(network):
    network = network.eval()
    channels = next(network.parameters()).shape[1]
    pixels = images() if isinstance(network, Layered) else torch.rand(2, channels, 64, 64)
    with torch.no_grad():
        output = pixels
        for stage in network.stages():
            output = stage.run(output)
        assert torch.equal(output, network(pixels))
    names = [stage.name for stage in network.stages()]
    assert len(set(names)) == len(names)
    for name in float_tensors(network):
        assert sum(stage.holds(name) for stage in network.stages()) == 1, name


def test_all_that_is_held_in_floats_can_be_hit():
    sites = fault_sites(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    assert sites == {
        "0.weight": 18, "0.bias": 2, "1.weight": 2, "1.bias": 2, "1.running_mean": 2, "1.running_var": 2,
    }  # fmt: skip


def test_a_weight_fault_solved_by_hand_leaves_the_network_alone():
    network, (pixels, _) = Signs(), halves()
    before = network_digest(network)
    copy = damaged(network, [Fault("head.weight", 1, 31)])
    assert copy(pixels).tolist() == [[-2.0, -2.0], [2.0, 2.0], [-2.0, -2.0], [2.0, 2.0]]
    assert network(pixels).tolist() == [[-2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [2.0, -2.0]]
    assert network_digest(network) == before != network_digest(copy)


@pytest.mark.parametrize("where", ["sum", "answer"])
def test_an_activation_fault_at_a_stage_strikes_every_scan(where):
    network, (pixels, _) = Signs(), halves()
    logits = damaged(network, [Fault(where, 0, 31, kind="activation")])(pixels)
    expected = network(pixels)
    expected[:, : 2 if where == "sum" else 1] *= -1
    assert torch.equal(logits, expected)


def test_an_activation_fault_at_a_module_strikes_every_scan_and_its_input_stays():
    network, pixels = Layered(), images()
    with torch.no_grad():
        normed = network.norm(network.convolution(pixels))
        normed[:, 0, 0, 1] *= -1
        expected = network._answer(network._mix(normed.tanh()))
        assert torch.equal(damaged(network, [Fault("norm", 1, 31, kind="activation")])(pixels), expected)
        assert not torch.equal(network(pixels), expected)


def test_activation_sites_tell_the_elements_of_one_scan():
    sites = activation_sites(Layered(), images())
    assert sites == {"convolution": 64, "norm": 64, "look": 64, "mix": 64, "head": 3}


def test_a_mixture_is_struck_in_one_expert_alone():
    network, pixels = mixture(), images()
    faults = [Fault("experts.1.head.weight", 0, 31), Fault("experts.1.mix", 5, 31, kind="activation")]
    opinions = damaged(network, faults).opinions(pixels)
    before = network.opinions(pixels)
    assert torch.equal(opinions.logits[:, 0], before.logits[:, 0]) and torch.equal(opinions.weights, before.weights)
    assert not torch.equal(opinions.logits[:, 1], before.logits[:, 1])
    assert list(network_parts(network)) == ["experts.0", "experts.1", "gate"]
    assert stage_of(network, "experts.1.norm") == "experts.1.look" and stage_of(network, "gate.1.bias") == "gate"


def test_a_network_without_stages_is_one_stage():
    network = nn.Linear(4, 2)
    assert stage_of(network, "weight") == "network"
    with torch.no_grad():
        logits = damaged(network, [Fault("network", 1, 31, kind="activation")])(torch.ones(3, 4))
        assert torch.equal(logits, network(torch.ones(3, 4)) * torch.tensor([1, -1]))


def test_a_network_held_in_bfloat16_is_widened_for_float32_bits():
    network = nn.Linear(2, 1).bfloat16()
    copy = damaged(network, [Fault("weight", 0, 0)])
    assert copy.weight.dtype == torch.float32 and network.weight.dtype == torch.bfloat16
    assert damaged(network, [Fault("weight", 0, 0, "bfloat16")]).weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "fault, reason",
    [
        (Fault("head.wieght", 0, 0), "no tensor named 'head.wieght' in this network; perhaps head.weight"),
        (Fault("zzz", 0, 0), "no tensor named 'zzz' in this network; it has: "),
        (Fault("head.weight", 0, 40), "no bit 40"),
        (Fault("head.weight", 12, 0), "head.weight: There is no element 12 among 12"),
        (Fault("head.weight", 0, 0, kind="bias"), "no faults of the kind 'bias'"),
        (Fault("hed", 0, 0, kind="activation"), "no stage or innermost module named 'hed'.*perhaps head"),
        (Fault("head", -1, 0, kind="activation"), "no element -1"),
    ],
)
def test_a_fault_that_cannot_be_is_a_sentence(fault, reason):
    with pytest.raises(ValueError, match=f"{reason}.*\\.$"):
        check_fault(Layered(), fault)


def test_an_activation_beyond_the_output_is_a_sentence():
    with pytest.raises(ValueError, match="head: There is no element 3 among 3"):
        damaged(Layered(), [Fault("head", 3, 0, kind="activation")])(images())


def test_a_damaged_bundle_shares_everything_else(bundle):
    before = network_digest(bundle.classifiers["resnet18"])
    struck = damaged_bundle(bundle, "resnet18", [Fault("network.fc.weight", 0, 30)])
    assert struck.mae is bundle.mae and struck.classifiers["dwf"] is bundle.classifiers["dwf"]
    weight = struck.classifiers["resnet18"].network.fc.weight
    assert weight[0, 0] != bundle.classifiers["resnet18"].network.fc.weight[0, 0]
    assert network_digest(bundle.classifiers["resnet18"]) == before


def test_the_mae_can_be_damaged_and_a_missing_network_is_a_sentence(bundle):
    struck = damaged_bundle(bundle, "mae", [Fault("norm.weight", 0, 15, "bfloat16")])
    assert struck.mae.norm.weight[0] == -bundle.mae.norm.weight[0].bfloat16()
    with pytest.raises(ValueError, match="no classifier named 'vgg'"):
        damaged_bundle(bundle, "vgg", [])
    with pytest.raises(ValueError, match="has no MAE"):
        damaged_bundle(SimpleNamespace(mae=None, name="cells"), "mae", [])
