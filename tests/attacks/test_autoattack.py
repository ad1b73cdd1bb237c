import pytest
import torch

from core.attacks.attempts import run_restarts
from core.attacks.autoattack import autoattack
from core.attacks.gradient import AttackStep
from tests.attacks.tiny import SLOPE, last, linear, middle, moved, numbers, zeros


def test_it_fools_a_linear_model_just_beyond_its_distance():
    for share, expected in ((1.01, 1), (0.99, 0)):
        step = last(autoattack(linear, middle(), zeros(), eps=share * 2.5 / 13 * 255, steps=10, generator=numbers()))
        assert linear(step.attacked).argmax() == expected
    assert moved(step).abs().max() <= 0.99 * 2.5 / 13 + 1e-6


def test_two_classes_go_without_dlr_and_three_with_it():
    def three(pixels):
        return torch.cat([linear(pixels), -torch.full((len(pixels), 1), 9.0)], 1)

    settings = {"eps": 1, "apgd_steps": 3, "fab_steps": 5, "square_steps": 7, "generator": numbers()}
    for model, length in ((linear, 3 + 5 + 7), (three, 2 * 3 + 5 + 7)):
        steps = list(autoattack(model, middle(), zeros(), **settings))
        assert [step.index for step in steps] == list(range(length))


def test_steps_scale_every_stage():
    assert len(list(autoattack(linear, middle(), zeros(), eps=1, steps=2, generator=numbers()))) == 2 + 2 + 100


def test_a_stage_works_on_what_still_stands():
    """The second image's margin is out of reach; the third is fooled from the start."""
    pixels = torch.cat([middle(), middle() + torch.tensor([0.4, -0.4, 0.4, 0.4]).view(1, 1, 2, 2), middle()])
    sizes = []

    def watched(pixels):
        sizes.append(len(pixels))
        return linear(pixels)

    steps = list(autoattack(watched, pixels, torch.tensor([0, 0, 1]), eps=51, steps=10, generator=numbers()))
    assert sizes[0] == 3 and sizes[1] == 2 and set(sizes[13:]) == {1}  # APGD and its verdict are 12 calls
    assert linear(steps[-1].attacked).argmax(1).tolist() == [1, 0, 0]
    assert torch.equal(steps[-1].attacked[2], pixels[2])
    assert all(step.loss.shape == (3,) and step.logits.shape == (3, 2) for step in steps)


def test_it_ends_when_all_are_fooled():
    assert len(list(autoattack(linear, middle(3), zeros(3), eps=80, generator=numbers()))) < 5
    assert len(list(autoattack(linear, middle(), torch.tensor([1]), eps=80, generator=numbers()))) == 1


def test_the_best_of_all_attempts_is_kept():
    """Attempts that reach the margins -1.9, -.7 and -1.3: none fools, the second is the highest."""

    def attempt(shift):
        def steps(rows):
            attacked = middle() + shift * SLOPE.view(1, 1, 2, 2) / 57
            yield AttackStep(0, torch.zeros(1), middle())
            yield AttackStep(1, torch.zeros(1), attacked)

        return steps

    steps = list(run_restarts([attempt(0.6), attempt(1.8), attempt(1.2)], linear, middle(), zeros()))
    assert [step.index for step in steps] == list(range(6))
    assert [round(moved(steps[index]).norm().item() * 57**0.5, 4) for index in (1, 3, 5)] == [0.6, 1.8, 1.8]


@pytest.mark.parametrize("change", [{"target": 1}, {"norm": "l1"}, {"steps": 0}, {"square_steps": 0}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(autoattack(linear, middle(), zeros(), **({"eps": 8, "generator": numbers()} | change)))
