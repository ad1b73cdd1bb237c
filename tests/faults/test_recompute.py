import pytest
import torch

from core.faults import CampaignSettings, Fault, Recompute, activation_sites, damaged, fault_sites
from core.faults.draws import draw_faults
from core.faults.sites import flip_weights, private_copy
from core.models.mamba import MedMamba
from core.models.resnet import NarrowResNet18
from tests.faults.chains import Layered, Signs, halves, images, mixture


def small(kind):
    network = {"layered": Layered, "mixture": mixture}.get(kind)
    if network:
        return network(), images()
    network = MedMamba(1, 2) if kind == "medmamba" else NarrowResNet18(1, 2, width=4, mirrored=kind == "mirrored")
    return network.eval(), torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["layered", "mixture", "resnet", "mirrored", "medmamba"])
@pytest.mark.parametrize("what", ["weight", "activation"])
def test_answers_are_those_of_the_damaged_network(kind, what):
    network, pixels = small(kind)
    cache = Recompute(network, pixels, batch=4)
    with torch.no_grad():
        assert torch.allclose(cache.logits(), network(pixels), atol=1e-5)
        sites = fault_sites(network) if what == "weight" else activation_sites(network, pixels)
        for index in range(6):
            faults = draw_faults(sites, CampaignSettings(flips=2, kind=what), index)
            private = private_copy(network)
            flip_weights(private, faults)
            expected = damaged(network, faults)(pixels)
            assert torch.allclose(cache.logits_with(private, faults), expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_nothing_before_the_damage_is_run_again():
    network, (pixels, _) = Signs(), halves()
    cache = Recompute(network, pixels, batch=2)
    assert network.runs == ["sum", "sum", "answer", "answer"]
    private = private_copy(network)
    private.runs.clear()
    cache.logits_with(private, [Fault("head.weight", 0, 31)])
    assert private.runs == ["answer", "answer"]
    assert torch.equal(cache.logits_with(private, []), cache.logits()) and private.runs == ["answer", "answer"]


def test_of_a_mixture_only_what_was_hit_is_run_again():
    network, pixels = mixture(), images()
    seen = []
    cache = Recompute(network, pixels, exit=lambda stage, output: seen.append(stage) or output)
    seen.clear()
    cache.logits_with(private_copy(network), [Fault("experts.1.mixer", 0, 0)])
    assert seen == ["experts.1.mix", "experts.1.head"]
    seen.clear()
    cache.logits_with(private_copy(network), [Fault("gate.1.bias", 0, 0)])
    assert seen == ["gate"]


def test_hooks_are_gone_afterwards_even_when_an_element_is_missing():
    network, pixels = Layered(), images()
    cache, private = Recompute(network, pixels), private_copy(network)
    before = private(pixels)
    cache.logits_with(private, [Fault("norm", 0, 30, kind="activation")])
    with pytest.raises(ValueError, match="norm: There is no element 64 among 64"):
        cache.logits_with(private, [Fault("norm", 64, 0, kind="activation")])
    assert torch.equal(private(pixels), before)
    assert torch.equal(cache.logits_with(private, [Fault("norm.bias", 0, 0)]), cache.logits())


def test_what_an_exit_returns_goes_on():
    network, pixels = Layered(), images()
    cache = Recompute(network, pixels, exit=lambda stage, output: output * 0 if stage == "mix" else output)
    assert torch.equal(cache.logits(), network.head.bias.expand(len(pixels), -1))
