"""What every strong attack promises, whatever it does."""

import random
import threading

import numpy as np
import pytest
import torch

from core.attacks.apgd import apgd
from core.attacks.attempts import Best, into_ball, margin
from core.attacks.autoattack import autoattack, autoattack_rand
from core.attacks.cw import cw
from core.attacks.deepfool import deepfool
from core.attacks.ead import ead
from core.attacks.fab import fab
from core.attacks.gradient import project, radius
from core.attacks.patch import patch
from core.attacks.rays import rays
from core.attacks.square import square
from tests.attacks.tiny import zeros

FEW = {"apgd_steps": 6, "fab_steps": 4, "square_steps": 20}
ATTACKS = {
    "apgd": (apgd, "linf", {"steps": 12}),
    "apgd-l2": (apgd, "l2", {"steps": 12}),
    "apgd-dlr": (apgd, "linf", {"steps": 12, "loss": "dlr"}),
    "fab": (fab, "linf", {"steps": 6}),
    "fab-l2": (fab, "l2", {"steps": 6}),
    "square": (square, "linf", {"steps": 40}),
    "square-l2": (square, "l2", {"steps": 40}),
    "rays": (rays, "linf", {"steps": 60}),
    "autoattack": (autoattack, "linf", FEW),
    "autoattack-l2": (autoattack, "l2", FEW),
    "autoattack-rand": (autoattack_rand, "linf", {"steps": 6, "eot": 2}),
    "patch": (patch, None, {"steps": 8}),
    "cw": (cw, "linf", {"steps": 8}),
    "cw-l2": (cw, "l2", {"steps": 30}),
    "deepfool": (deepfool, "linf", {}),
    "deepfool-l2": (deepfool, "l2", {}),
    "ead": (ead, "l1", {"steps": 8}),
}
RADII = {"linf": 6, "l2": 0.15, "l1": 1.0, None: 1}
WEIGHTS = [torch.randn(shape, generator=torch.Generator().manual_seed(5)) / 4 for shape in ((64, 16), (16, 3))]
every_attack = pytest.mark.parametrize("name", ATTACKS)


def bent(pixels):
    """Three classes on 8 × 8 pixels."""
    return torch.tanh((pixels.flatten(1) - 0.5) @ WEIGHTS[0]) @ WEIGHTS[1]


def images(count=5):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(3))


def attack(name, pixels, seed=0, eps=None, labels=None, model=bent, **more):
    run, norm, settings = ATTACKS[name]
    labels = model(pixels).argmax(1) if labels is None else labels
    named = {} if norm is None else {"norm": norm}
    generator = torch.Generator().manual_seed(seed)
    return run(model, pixels, labels, eps=eps or RADII[norm], generator=generator, **(named | settings | more))


def global_states():
    return random.getstate(), str(np.random.get_state()), torch.random.get_rng_state().tolist()


@every_attack
@pytest.mark.parametrize("restarts", [1, 2])
def test_every_step_stays_in_the_ball_and_in_the_pixels_range(name, restarts):
    pixels, norm = images(), ATTACKS[name][1]
    steps = list(attack(name, pixels, restarts=restarts))
    assert [step.index for step in steps] == list(range(len(steps)))
    for step in steps:
        assert step.loss.shape == (5,) and step.logits.shape == (5, 3) and not step.logits.requires_grad
        assert 0 <= step.attacked.min() and step.attacked.max() <= 1
        if norm is not None:
            delta = step.attacked - pixels
            assert torch.allclose(project(delta, radius(RADII[norm], norm), norm), delta, atol=1e-6)


@every_attack
def test_a_large_radius_fools_and_the_same_seed_gives_the_same_pixels(name):
    pixels, eps = images(), 8 * RADII[ATTACKS[name][1]]
    first, second = (list(attack(name, pixels, eps=eps))[-1].attacked for _ in range(2))
    assert torch.equal(first, second)
    assert (bent(first).argmax(1) != bent(pixels).argmax(1)).sum() >= 3


@pytest.mark.slow
@every_attack
def test_neighbours_do_not_matter(name):
    pixels = images()
    others = pixels.clone()
    others[[0, 1, 3, 4]] = images(9)[5:]
    for eps in (RADII[ATTACKS[name][1]], 4 * RADII[ATTACKS[name][1]]):
        one, two = (list(attack(name, batch, eps=eps))[-1].attacked[2] for batch in (pixels, others))
        assert torch.allclose(one, two, atol=1e-5)
    alone = list(attack(name, pixels[:1], eps=eps))[-1].attacked[0]
    assert torch.allclose(alone, list(attack(name, pixels, eps=eps))[-1].attacked[0], atol=1e-5)


@every_attack
def test_global_random_states_and_threads_stay(name):
    before, running = global_states(), threading.active_count()
    list(attack(name, images(2)))
    assert global_states() == before and threading.active_count() == running


@every_attack
def test_the_shared_model_stays_as_it_is(name):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3), torch.nn.BatchNorm1d(3, affine=False))
    model[2].eval()
    flags = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    list(attack(name, images(2), model=model))
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in model.parameters())


@every_attack
def test_it_can_be_stopped_at_any_step(name):
    for count in (1, 3):
        steps = attack(name, images(2))
        shown = [step.attacked for step, _ in zip(steps, range(count))][-1]
        steps.close()
        assert shown.shape == (2, 1, 8, 8)
        assert not list(steps)


@every_attack
def test_wrong_parameters_give_a_sentence(name):
    run, norm, settings = ATTACKS[name]
    wrong = [{"steps": 0}, {"restarts": 0}, {"eot": 0}]
    wrong += [{"eps": -1}, {"eps": 300}, {"norm": "l7"}] if norm else []
    for change in wrong:
        with pytest.raises(ValueError, match=r"^[A-Zε].*\.$"):
            next(attack(name, images(1), **change))


@pytest.mark.parametrize("name", ["fab", "fab-l2", "square", "square-l2", "rays", "autoattack", "autoattack-l2"])
def test_what_seeks_success_ends_when_all_are_fooled_and_asks_nothing_about_the_fooled(name):
    pixels = images()
    wrong = (bent(pixels).argmax(1) + 1) % 3
    steps = list(attack(name, pixels, labels=wrong))
    assert len(steps) == 1 and torch.equal(steps[0].attacked, pixels)


def test_a_random_model_is_averaged():
    noise, asked = torch.Generator().manual_seed(1), []

    def shaky(pixels):
        asked.append(len(pixels))
        return bent(pixels) + 0.01 * torch.randn(len(pixels), 3, generator=noise)

    pixels = images(2)
    list(apgd(shaky, pixels, zeros(2), eps=6, steps=5, eot=4, generator=torch.Generator()))
    assert len(asked) == 4 * 6


def test_the_best_attempt_fools_before_it_has_a_high_loss():
    best, rows = Best.start(torch.zeros(1, 1, 1, 1)), torch.tensor([0])
    for value, loss, won in (
        (0.1, 1.0, False),
        (0.2, 5.0, False),
        (0.3, 2.0, True),
        (0.4, 9.0, False),
        (0.5, 3.0, True),
    ):
        best.offer(rows, torch.full((1, 1, 1, 1), value), torch.tensor([loss]), torch.tensor([won]))
        assert best.fooled.item() == (value >= 0.3)
        assert best.pixels.item() == pytest.approx(value if value != 0.4 else 0.3)


def test_margins_by_hand():
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 4.0, 1.0]])
    assert margin(logits, torch.tensor([0, 0])).tolist() == [-1, 4]
    assert margin(logits, torch.tensor([0, 0]), target=2).tolist() == [-1, -3]
    with pytest.raises(ValueError, match=r"between 0 and 2, not 3\.$"):
        margin(logits, torch.tensor([0, 0]), target=3)


def test_what_lies_inside_the_ball_stays_to_the_bit():
    pixels, attacked = images(1), images(1) + 0.01 * images(2)[1:]
    assert torch.equal(into_ball(attacked.clamp(0, 1), pixels, 0.02, "linf"), attacked.clamp(0, 1))
    assert (into_ball(attacked + 1, pixels, 0.02, "linf") - pixels).abs().max() <= 0.02 + 1e-6
