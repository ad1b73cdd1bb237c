"""PGD on a coarse grid of changes."""

import pytest
import torch

from core.attacks.attempts import lengths
from core.attacks.gradient import pgd, radius
from core.attacks.low_frequency import COARSENESS, low_frequency, stretched
from tests.attacks.tiny import numbers, zeros

SIDE = 24
WEIGHTS = torch.randn(2, SIDE * SIDE, generator=numbers(1))
BALLS = [("linf", 8), ("l2", 0.5), ("l1", 3)]


def linear(pixels):
    return pixels.flatten(1) @ WEIGHTS.T


def images(count=2):
    return 0.3 + 0.4 * torch.rand(count, 1, SIDE, SIDE, generator=numbers(3))


@pytest.mark.parametrize("norm, eps", BALLS)
def test_the_change_is_coarse_and_within_its_ball(norm, eps):
    pixels, side = images(), SIDE // COARSENESS
    cells = torch.eye(side * side).view(-1, 1, side, side)
    basis = stretched(cells, (SIDE, SIDE)).flatten(1)
    for step in low_frequency(linear, pixels, zeros(2), eps=eps, norm=norm, steps=5, generator=numbers()):
        change = step.attacked - pixels
        assert (lengths(change, norm) <= radius(eps, norm) * (1 + 1e-5)).all()
        rest = change.flatten(1) - (change.flatten(1) @ torch.linalg.pinv(basis)) @ basis
        assert rest.abs().max() < 1e-5 < change.abs().max()


@pytest.mark.parametrize("norm, eps", BALLS)
def test_it_raises_the_loss_and_less_than_an_attack_without_that_limit(norm, eps):
    pixels, settings = images(), {"eps": eps, "norm": norm, "steps": 20}
    margins = []
    for attack in (low_frequency, pgd):
        for step in attack(linear, pixels, zeros(2), generator=numbers(), **settings):
            attacked = step.attacked
        margins.append((linear(attacked) - linear(pixels)) @ torch.tensor([-1.0, 1.0]))
    assert (0 < margins[0]).all() and (margins[0] < margins[1]).all()


def test_wrong_parameters_give_a_sentence():
    for change in ({"steps": 0}, {"eot": 0}, {"eps": -1}, {"norm": "l7"}):
        with pytest.raises(ValueError, match=r"^[A-Zε].*\.$"):
            next(low_frequency(linear, images(), zeros(2), **({"eps": 8, "generator": numbers()} | change)))
