"""The selective scan against its definition and by hand, and what the rest of the app asks of MedMamba."""

import math

import pytest
import torch
from torch import Tensor

from core.models.mamba import MedMamba
from core.models.selective_scan import cross_merge, cross_scan, selective_scan, sequential_scan
from tests.attacks.tiny import numbers

NARROW = {"width": 8, "depths": (1, 1), "states": 2}


def scan_inputs(length: int, batch: int = 2, channels: int = 6, states: int = 3, dtype=torch.float32) -> list[Tensor]:
    """Random sequences along four paths, whose states fade over one to a hundred positions."""
    source = numbers(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=source, dtype=dtype)

    x, entry, leave = (normal(length, batch, 4, size) for size in (channels, states, states))
    step = torch.rand(x.shape, generator=source, dtype=dtype) * 0.5 + 0.01
    decay = -torch.rand((4, channels, states), generator=source, dtype=dtype) * 3 - 0.05
    return [value.requires_grad_() for value in (x, step, decay, entry, leave)]


def medmamba(**config) -> MedMamba:
    """The same weights at each call, ready to answer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MedMamba(1, 2, **NARROW | config).eval()


def scans(count: int = 2, side: int = 32, dtype=torch.float32) -> Tensor:
    return torch.rand((count, 1, side, side), generator=numbers(), dtype=dtype)


def test_a_state_that_halves():
    half = torch.full((3, 1, 1, 1), math.log(2))
    x, ones = torch.tensor([1.0, 0, 4]).view(3, 1, 1, 1), torch.ones(3, 1, 1, 1)
    answer = selective_scan(x, half, torch.tensor([[[-1.0]]]), ones, 2 * ones)
    assert torch.allclose(answer.flatten() / math.log(2), torch.tensor([2.0, 1, 8.5]))


@pytest.mark.parametrize("at_once", [1, 1000, 1 << 17])
def test_values_and_gradients_are_those_of_the_definition(at_once, monkeypatch):
    monkeypatch.setattr("core.models.selective_scan.AT_ONCE", at_once)
    inputs = scan_inputs(70)
    fast, slow = selective_scan(*inputs), sequential_scan(*inputs)
    slope = torch.randn(fast.shape, generator=numbers(2))
    assert ((fast - slow).abs().max() / slow.abs().max()) < 1e-5
    for one, other in zip(torch.autograd.grad(fast, inputs, slope), torch.autograd.grad(slow, inputs, slope)):
        assert ((one - other).abs().max() / other.abs().max()) < 1e-5


def test_gradients_are_those_of_finite_differences(monkeypatch):
    monkeypatch.setattr("core.models.selective_scan.AT_ONCE", 40)
    assert torch.autograd.gradcheck(selective_scan, scan_inputs(4, 1, 2, 2, torch.float64))


def test_a_long_sequence_with_strong_decay_stays_exact():
    x, step, decay, entry, leave = (value.detach() for value in scan_inputs(3000, 1, 2, 2))
    inputs = (x, step * 20, decay * 20, entry, leave)  # a cumulative product would be 0 within ten positions
    assert torch.allclose(selective_scan(*inputs), sequential_scan(*inputs), rtol=1e-5, atol=1e-5)


def test_a_position_sees_none_that_come_later():
    x, *rest = (value.detach() for value in scan_inputs(9))
    later = x.clone()
    later[5:] += 1
    before, after = selective_scan(x, *rest), selective_scan(later, *rest)
    assert torch.equal(before[:5], after[:5]) and not torch.equal(before[5], after[5])


def test_the_four_paths():
    paths = cross_scan(torch.arange(6.0).view(1, 2, 3, 1)).flatten(1).T
    assert paths.tolist() == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0], [5, 2, 4, 1, 3, 0]]


def test_every_path_comes_back_in_place():
    maps = torch.randn((2, 3, 5, 4), generator=numbers())
    assert torch.allclose(cross_merge(cross_scan(maps), 3, 5), 4 * maps)


def test_a_pixel_reaches_every_place_in_one_scan():
    scan = medmamba().levels[0][0].scan
    maps = torch.randn((1, 9, 9, 4), generator=numbers())
    other = maps.clone()
    other[0, 4, 4] += 1
    with torch.no_grad():
        assert ((scan(maps) - scan(other)).abs().amax(-1) > 0).all()


def test_stages_run_in_turn_are_the_network():
    network = medmamba(depths=(1, 2, 1))
    value = scans()
    with torch.no_grad():
        answer = network(value)
        for stage in network.stages():
            before, value = value.clone(), stage.run(given := value)
            assert torch.equal(before, given)
    assert torch.equal(value, answer)
    names = [stage.name for stage in network.stages()]
    assert names == [
        "embedding",
        "levels.0.0",
        "mergings.0",
        "levels.1.0",
        "levels.1.1",
        "mergings.1",
        "levels.2.0",
        "head",
    ]


def test_every_weight_belongs_to_one_stage():
    network = medmamba()
    for name in network.state_dict():
        assert sum(stage.holds(name) for stage in network.stages()) == 1, name


@pytest.mark.parametrize(("side", "cells"), [(128, 16), (64, 8)])
def test_feature_maps_are_fine_enough_to_show_where_it_looked(side, cells):
    network = medmamba(depths=(1, 1, 1))
    pixels = scans(1, side)
    with torch.no_grad():
        maps = network.feature_maps(pixels)
        assert maps.shape == (1, 16, cells, cells)
        assert torch.equal(network.classify(maps), network(pixels))


def test_pixels_get_the_gradient_of_finite_differences():
    network, pixels = medmamba().double(), scans(1, 16, torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(network(pixels)[0, 1], pixels)
    direction = torch.randn(pixels.shape, generator=numbers(3), dtype=torch.float64)
    with torch.no_grad():
        rise = (network(pixels + 1e-6 * direction) - network(pixels - 1e-6 * direction))[0, 1] / 2e-6
    assert rise.item() == pytest.approx((slope * direction).sum().item(), rel=1e-5)


def test_a_scan_is_answered_alike_alone_and_among_others():
    network, pixels = medmamba(), scans(3)
    with torch.no_grad():
        alone = torch.cat([network(pixel.unsqueeze(0)) for pixel in pixels])
        assert torch.allclose(network(pixels), alone, atol=1e-6)


def test_bfloat16_changes_little_and_the_scan_stays_in_float32():
    network, pixels = medmamba(), scans()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = network(pixels)
    with torch.no_grad():
        assert torch.allclose(rounded.float(), network(pixels), atol=0.05)
    assert selective_scan(*(value.bfloat16() for value in scan_inputs(3))).dtype == torch.float32


def test_first_steps_lie_between_a_thousandth_and_a_tenth():
    steps = torch.nn.functional.softplus(medmamba().levels[0][0].scan.step_bias)
    assert steps.min() >= 0.999e-3 and steps.max() <= 0.1001 and steps.min() < 0.01 < steps.max()


def test_it_is_tiny():
    assert sum(value.numel() for value in MedMamba(3, 8).parameters()) < 400_000


@pytest.mark.parametrize("config", [{"width": 7}, {"depths": (2,)}])
def test_an_impossible_size_gets_one_sentence(config):
    with pytest.raises(ValueError, match="^MedMamba halves its channels .+ not possible.$"):
        medmamba(**config)
