import copy

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import nn

from core.explanation.attributions import METHODS, attribution, attribution_steps, log_odds
from core.explanation.outline_agreement import outline_agreement
from core.models.experts import MixtureOfExperts, resnet_mixture
from core.models.resnet import NarrowResNet18
from tests.attacks.tiny import numbers

SMOOTH = ["integrated-gradients", "smoothgrad", "occlusion"]


class Plane(nn.Module):
    """Log odds of class 1: the sum of slopes times pixels."""

    def __init__(self, slopes):
        super().__init__()
        self.slopes = slopes

    def forward(self, pixels):
        odds = (self.slopes * pixels).sum((1, 2, 3))
        return torch.stack([torch.zeros_like(odds), odds], 1)


class Bent(nn.Module):
    """A smooth network of 16 × 16 pixels with a hidden layer, and gradients that turn."""

    def __init__(self, seed, outputs=2):
        super().__init__()
        self.first = nn.Parameter(torch.randn(256, 8, generator=numbers(seed)) / 8)
        self.second = nn.Parameter(torch.randn(8, outputs, generator=numbers(seed + 1)))

    def forward(self, pixels):
        return torch.tanh((pixels.flatten(1) - 0.5) @ self.first) @ self.second


class TwoMaps(nn.Module):
    """Feature maps x and 1 − x; log odds of class 1: 4 times the mean of the first less 8 times that of the second."""

    def feature_maps(self, pixels):
        return torch.cat([pixels, 1 - pixels], 1)

    def classify(self, maps):
        odds = maps.mean((2, 3)) @ torch.tensor([4.0, -8.0])
        return torch.stack([torch.zeros_like(odds), odds], 1)

    def forward(self, pixels):
        return self.classify(self.feature_maps(pixels))


def seeded(make):
    """A private network, ready as those of a bundle are."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval().requires_grad_(False)


def noise(shape, seed=1):
    return torch.rand(shape, generator=numbers(seed)).numpy()


def bent_mixture(hard=False):
    mixture = MixtureOfExperts([Bent(seed) for seed in (1, 3, 5)], Bent(7, outputs=3), hard)
    return mixture.eval().requires_grad_(False)


def odds(network, pixels, label):
    with torch.no_grad():
        return log_odds(network(torch.from_numpy(pixels).unsqueeze(0)), label).item()


def last(*arguments, **options):
    return list(attribution_steps(*arguments, **options))[-1].map


def test_a_plane_by_hand():
    slopes, pixels = torch.randn(2, 16, 24, generator=numbers()), noise((2, 16, 24))
    products = slopes.numpy() * pixels
    network = Plane(slopes)
    for label, sign in ((1, 1), (0, -1)):
        found = attribution(pixels, network, "integrated-gradients", label=label)
        assert found == pytest.approx(sign * products.sum(0), abs=1e-5)
        # Two squares, the columns up to 16 and those from 8; the middle lies under both.
        left, right = products[..., :16].sum(), products[..., 8:].sum()
        expected = np.repeat([left, (left + right) / 2, right], 8)
        assert attribution(pixels, network, "occlusion", label=label)[5] == pytest.approx(sign * expected, abs=1e-4)
    found = attribution(pixels, network, "smoothgrad")
    assert found == pytest.approx(slopes.abs().amax(0).numpy(), abs=1e-5)


def test_smoothgrad_averages_over_noise_of_its_own_seed():
    class Bowl(nn.Module):
        def forward(self, pixels):
            odds = pixels.square().sum((1, 2, 3)) / 2
            return torch.stack([torch.zeros_like(odds), odds], 1)

    pixels = noise((1, 4, 4))
    drawn = torch.randn(32, 1, 4, 4, generator=numbers(3)).mean(0).numpy()
    found = attribution(pixels, Bowl(), "smoothgrad", seed=3)
    assert found == pytest.approx(np.abs(pixels + 0.1 * drawn)[0], abs=1e-5)
    assert not np.array_equal(found, attribution(pixels, Bowl(), "smoothgrad", seed=4))


@pytest.mark.parametrize("classes", [2, 3])
def test_integrated_gradients_are_complete(classes):
    network, pixels = Bent(1, classes), noise((1, 16, 16))
    for label in range(classes):
        difference = odds(network, pixels, label) - odds(network, 0 * pixels, label)
        assert abs(difference) > 0.3
        assert attribution(pixels, network, "integrated-gradients", label=label).sum() == pytest.approx(
            difference, abs=1e-4
        )


def test_grad_cam_by_hand():
    """At each of four pixels the gradients are 4 / 4 and −8 / 4, so that the map is x − 2 (1 − x) where positive."""
    pixels = np.array([[[1.0, 0.9], [0.5, 0.8]]], np.float32)
    found = attribution(pixels, TwoMaps(), "grad-cam", label=1)
    assert found == pytest.approx(np.array([[1.0, 0.7], [0.0, 0.4]]), abs=1e-6)
    assert attribution(pixels, TwoMaps(), "grad-cam", label=0) == pytest.approx(
        np.array([[0.0, 0.0], [0.5, 0.0]]), abs=1e-6
    )


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 64, 64), (3, 64, 128)])
def test_grad_cam_agrees_with_captum(channels, height, width):
    network = seeded(lambda: NarrowResNet18(channels, 3, width=4))
    pixels = noise((channels, height, width))
    batch, private = torch.from_numpy(pixels).unsqueeze(0), copy.deepcopy(network)
    shown = 0
    for label in range(3):
        cam = LayerGradCam(lambda seen, label=label: log_odds(private(seen), label), private.network.layer3)
        coarse = cam.attribute(batch.clone().requires_grad_(), relu_attributions=True).detach()
        expected = LayerAttribution.interpolate(coarse, (height, width), "bilinear")[0, 0].numpy()
        found = attribution(pixels, network, "grad-cam", label=label)
        assert found.shape == (height, width) and found == pytest.approx(expected, rel=1e-4, abs=1e-7)
        shown += found.max() > 1e-4
    assert shown


@pytest.mark.parametrize("method", METHODS)
def test_nothing_shared_is_touched(method):
    mixture = seeded(lambda: resnet_mixture(1, 2, 2, width=4, shrink=2))
    before, state, pixels = copy.deepcopy(mixture.state_dict()), torch.get_rng_state(), noise((1, 64, 64))
    kept = pixels.copy()
    found = attribution(pixels, mixture.experts[0], method)
    steps = last(pixels, mixture, method)
    assert torch.equal(state, torch.get_rng_state()) and np.array_equal(kept, pixels)
    assert all(torch.equal(value, before[name]) for name, value in mixture.state_dict().items())
    for module in mixture.modules():
        assert not (module.training or module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in mixture.parameters())
    for each in (found, steps):
        assert each.shape == (64, 64) and each.dtype == np.float32 and np.isfinite(each).all()
        assert METHODS[method].signed or each.min() >= 0
    assert torch.is_grad_enabled()
    with torch.no_grad():
        assert np.array_equal(found, attribution(pixels, mixture.experts[0], method))
    mixture.requires_grad_()
    assert np.array_equal(steps, last(pixels, mixture, method))
    assert all(parameter.grad is None for parameter in mixture.parameters())


@pytest.mark.parametrize("method", SMOOTH)
@pytest.mark.parametrize("label", [None, 0])
def test_the_experts_steps_add_up_to_the_whole_mixture(method, label):
    mixture, pixels = bent_mixture(), noise((1, 16, 16))
    steps = list(attribution_steps(pixels, mixture, method, label=label, seed=2))
    assert [(step.index, step.count) for step in steps] == [(0, 3), (1, 3), (2, 3)]
    whole = attribution(pixels, mixture, method, label=label, seed=2)
    assert steps[-1].map == pytest.approx(whole, abs=1e-5)
    assert np.abs(steps[1].map - whole).max() > 1e-3


def test_integrated_gradients_of_a_mixture_are_complete():
    mixture, pixels = bent_mixture(), noise((1, 16, 16))
    difference = odds(mixture, pixels, 1) - odds(mixture, 0 * pixels, 1)
    assert abs(difference) > 0.3
    assert last(pixels, mixture, "integrated-gradients", label=1).sum() == pytest.approx(difference, abs=1e-4)


def test_grad_cam_of_a_mixture_by_hand():
    """What speaks against is cut off from the sum, not from each expert on its own."""
    pixels = np.array([[[1.0, 0.9], [0.5, 0.8]]], np.float32)
    against = TwoMaps()
    against.classify = lambda maps: TwoMaps().classify(maps).flip(1)
    mixture = MixtureOfExperts([TwoMaps(), against], Plane(torch.ones(1)))
    steps = list(attribution_steps(pixels, mixture, "grad-cam", label=1, weights=[0.75, 0.25]))
    signed = np.array([[1.0, 0.7], [-0.5, 0.4]])
    assert steps[0].map == pytest.approx(0.75 * signed.clip(min=0), abs=1e-6)
    assert steps[1].map == pytest.approx(0.5 * signed.clip(min=0), abs=1e-6)


@pytest.mark.parametrize("method", SMOOTH)
def test_held_weights_of_one_expert_are_that_expert(method):
    mixture, pixels = bent_mixture(), noise((1, 16, 16))
    for index, expert in enumerate(mixture.experts):
        weights = np.eye(3)[index]
        expected = attribution(pixels, expert, method)
        assert last(pixels, mixture, method, weights=weights) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("method", SMOOTH)
def test_a_hard_gate_lends_no_gradient_of_its_soft_weights(method):
    class Leaning(Bent):
        def forward(self, pixels):
            return super().forward(pixels) / 20 + torch.tensor([0.0, 2.0, 0.0])

    mixture, pixels = bent_mixture(hard=True), noise((1, 16, 16))
    mixture.gate = Leaning(7, outputs=3)
    expected = attribution(pixels, mixture.experts[1], method, label=1)
    assert last(pixels, mixture, method, label=1) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (noise((1, 16, 16)), {"method": "guess"}, "no explanation named 'guess'; choose one of: grad-cam"),
        (noise((1, 16, 16)), {"method": "smoothgrad", "label": 2}, "between 0 and 1, not 2"),
        (noise((1, 16, 16)), {"method": "smoothgrad", "label": -1}, "between 0 and 1, not -1"),
        (noise((16, 16)), {"method": "smoothgrad"}, "SmoothGrad needs pixels"),
        (noise((1, 8, 16)), {"method": "occlusion"}, "at least 16 × 16"),
        (noise((1, 16, 16)), {"method": "grad-cam"}, "feature maps"),
    ],
)
def test_what_cannot_be_explained_is_said(pixels, options, reason):
    mixture = bent_mixture()
    with pytest.raises(ValueError, match=reason):
        attribution(pixels, mixture, **options)
    with pytest.raises(ValueError, match=reason):
        last(pixels, mixture, **options)


def test_a_mixture_needs_a_weight_for_each_expert():
    with pytest.raises(ValueError, match="has 3 experts, not 2"):
        last(noise((1, 16, 16)), bent_mixture(), "occlusion", weights=[0.5, 0.5])


def test_agreement_with_an_outline_by_hand():
    values = np.array([[3.0, 1.0], [-5.0, 4.0]])
    inside = np.array([[False, False], [True, True]])
    found = outline_agreement(values, inside)
    assert found == (True, 0.5, 0.5)  # 4 of 3 + 1 + 4, as what speaks against takes no part
    found = outline_agreement(values, np.array([[True, False], [False, False]]))
    assert found == (False, 3 / 8, 0.25)


def test_a_plateau_is_a_hit_where_most_of_it_lies_within():
    inside = np.array([[True, True, True, False, False]])
    assert outline_agreement(np.array([[0.0, 2, 2, 2, 0]]), inside).hit
    assert not outline_agreement(np.array([[0.0, 0, 2, 2, 2]]), inside).hit
    assert outline_agreement(np.array([[-1.0, 0, 0, 0, 0]]), inside) == (False, 0.0, 0.6)


def test_agreement_needs_an_outline_of_the_same_shape():
    with pytest.raises(ValueError, match="one shape"):
        outline_agreement(np.zeros((2, 2)), np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="empty"):
        outline_agreement(np.zeros((2, 2)), np.zeros((2, 2), bool))
