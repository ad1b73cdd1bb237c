import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from core.attacks import AttackSettings
from core.bundles import Expert
from core.explanation.mixture import (
    PATH,
    attacked,
    gate_change,
    gate_path,
    mixtures,
    path_length,
    run_mixture,
    run_mixture_on_purified,
)
from core.models.experts import NONE_LEFT, MixtureOfExperts

THREE = math.log(3)


class Says(nn.Module):
    """An expert, or a gate, that answers the same to every scan, plus its slopes times the sum of the pixels."""

    def __init__(self, *constant, slopes=None):
        super().__init__()
        self.constant, self.slopes = torch.tensor(constant), torch.tensor(slopes or [0.0] * len(constant))

    def forward(self, pixels):
        return self.constant + pixels.sum((1, 2, 3)).unsqueeze(1) * self.slopes


def bundle_of(mixture):
    """What the panel asks of a bundle."""
    return SimpleNamespace(
        classes=("well", "ill"),
        classifiers={"plain": Says(0.0, 0.0), "two": mixture},
        classifier_name=lambda name: name,
        limits={},
        experts=lambda name: (Expert("first", "on this"), Expert("second", "on that")),
    )


@pytest.fixture
def steady():
    """The first expert says 3 : 1 for well, the second 1 : 3, and the gate weighs them 3 : 1."""
    return bundle_of(MixtureOfExperts([Says(THREE, 0.0), Says(0.0, THREE)], Says(THREE, 0.0)))


def test_a_panel_by_hand(steady):
    output = run_mixture(np.zeros((1, 2, 2), np.float32), steady, "two").output
    assert output.weights == pytest.approx([0.75, 0.25]) and output.names == ("first", "second")
    assert output.experts[0].probabilities["well"] == pytest.approx(0.75)
    assert output.experts[1].label == "ill"
    # .75 · log 3 against .25 · log 3: odds of √3
    assert output.answer.probabilities["well"] == pytest.approx(math.sqrt(3) / (1 + math.sqrt(3)))
    assert output.answer.classifier == "two"


def test_without_an_expert_the_other_decides(steady):
    output = run_mixture(np.zeros((1, 2, 2), np.float32), steady, "two").output
    alone = output.only([False, True])
    assert alone.weights == (0.0, 1.0) and alone.answer.label == "ill"
    assert alone.answer.confidence == pytest.approx(0.75)
    assert output.only([True, True]).answer == output.answer
    with pytest.raises(ValueError, match="switched off") as caught:
        output.only([False, False])
    assert str(caught.value) == NONE_LEFT


def test_a_gate_that_stands_still_did_not_turn_the_answer():
    """Both experts change sides: three quarters of 1/4 : 3/4 and one of 3/4 : 1/4 in odds, whatever the gate does."""
    two = MixtureOfExperts([Says(THREE, 0.0, slopes=[-2 * THREE, 0.0]), Says(0.0, THREE)], Says(THREE, 0.0))
    bundle = bundle_of(two)
    before, after = (run_mixture(np.full((1, 1, 1), value, np.float32), bundle, "two").output for value in (0.0, 1.0))
    change = gate_change(before, after)
    assert change.points == pytest.approx((0, 0)) and change.most == pytest.approx(0) and change.turned == 1
    assert change.held.probabilities == pytest.approx(after.answer.probabilities) and change.held.label == "ill"


def test_a_gate_that_turned_the_answer():
    """The experts stay, and the gate goes from 3 : 1 for the first to 1 : 3."""
    gate = Says(THREE, 0.0, slopes=[-2 * THREE, 0.0])
    bundle = bundle_of(MixtureOfExperts([Says(THREE, 0.0), Says(0.0, THREE)], gate))
    before, after = (run_mixture(np.full((1, 1, 1), value, np.float32), bundle, "two").output for value in (0.0, 1.0))
    change = gate_change(before, after)
    assert change.points == pytest.approx((-0.5, 0.5)) and change.most == pytest.approx(0.5) and change.turned == 0
    assert (before.answer.label, after.answer.label, change.held.label) == ("well", "ill", "well")
    alone = gate_change(before.only([True, False]), after.only([True, False]))
    assert alone.points == (0, 0) and alone.turned == 0


def test_only_mixtures_are_opened_up(steady):
    assert mixtures(steady) == ("two",)


def test_a_mixture_with_thresholds_comes_first(steady):
    mixture = steady.classifiers["two"]
    models = SimpleNamespace(
        classifiers={"without": mixture, "plain": Says(0.0, 0.0), "with": mixture}, limits={"with": 1}
    )
    assert mixtures(models) == ("with", "without")


def test_the_path_goes_straight_to_the_attack():
    """Both experts grow surer of class 0 with the sum of the pixels, so the attack lowers every pixel by 16/255."""
    experts = [Says(1.0, 0.0, slopes=[1.0, 0.0]), Says(2.0, 0.0, slopes=[1.0, 0.0])]
    models = bundle_of(MixtureOfExperts(experts, Says(0.0, 0.0, slopes=[0.0, 10.0])))
    steps = list(gate_path(np.full((1, 2, 2), 0.5, np.float32), models, "two"))
    assert len(steps) == path_length("fgsm") and steps[0] is None
    points = steps[1:]
    assert tuple(point.eps for point in points) == PATH == tuple(step / 2 for step in range(33))
    for point in points[::8]:
        assert np.allclose(point.view.pixels, 0.5 - point.eps / 255, atol=1e-6)
        odds = math.exp(10 * 4 * (0.5 - point.eps / 255))
        assert point.view.output.weights[1] == pytest.approx(odds / (1 + odds), rel=1e-4)


def test_the_path_needs_a_direction(steady):
    with pytest.raises(ValueError, match="fgsm, pgd"):
        list(gate_path(np.zeros((1, 2, 2), np.float32), steady, "two", "square"))


def test_an_attack_stays_within_its_budget():
    experts = [Says(1.0, 0.0, slopes=[1.0, 0.0])] * 2
    models = bundle_of(MixtureOfExperts(experts, Says(0.0, 0.0)))
    start = np.full((1, 2, 2), 0.5, np.float32)
    steps = list(attacked(start, models, "two", AttackSettings("pgd", eps=2, steps=5)))
    assert len(steps) == 5 and np.allclose(steps[-1], 0.5 - 2 / 255, atol=1e-6)


def test_purified_is_the_estimate_and_the_seed_draws_its_noise(bundle, steady):
    models = SimpleNamespace(**vars(steady), diffusion=bundle.diffusion, default_classifier="two")
    models.limits, models.name = {}, "none"
    pixels = np.full((1, 128, 128), 0.3, np.float32)
    first, again, other = (run_mixture_on_purified(pixels, models, "two", seed).pixels for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == pixels.shape and 0 <= first.min() <= first.max() <= 1
