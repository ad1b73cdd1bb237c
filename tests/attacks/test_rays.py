import pytest
import torch

from core.attacks.rays import _Rays, rays
from tests.attacks.tiny import SLOPE, last, linear, middle, moved, numbers, zeros


def test_a_linear_model_gives_the_distance_to_its_boundary():
    """2.5 / 13, and the search ends within a thousandth above it."""
    step = last(rays(linear, middle(), zeros(), eps=255, minimise=True, steps=300, generator=numbers()))
    assert torch.equal(moved(step).sign(), SLOPE.sign())
    assert 2.5 / 13 <= moved(step).abs().max() <= 2.5 / 13 + 1e-3
    for eps, expected in ((2.5 / 13 + 2e-3, 1), (2.5 / 13 - 1e-3, 0)):
        step = last(rays(linear, middle(), zeros(), eps=255 * eps, steps=300, generator=numbers()))
        assert linear(step.attacked).argmax() == expected


def test_blocks_are_flipped_from_the_whole_to_single_pixels():
    search = _Rays(torch.ones(1, 1, 2, 2), 1e-3)
    rows, asked = torch.tensor([0]), []
    for _ in range(10):
        asked.append((search.ask(middle(), rows) - 0.5).flatten().sign().tolist())
        search.answer(rows, torch.tensor([False]))
    whole, pairs = [[-1, -1, -1, -1]], [[-1, -1, 1, 1], [1, 1, -1, -1]]
    singles = [[-1, 1, 1, 1], [1, -1, 1, 1], [1, 1, -1, 1], [1, 1, 1, -1]]
    assert asked == [[0] * 4, *whole, *pairs, *singles, *whole, *pairs[:1]]


def test_it_sees_the_label_alone():
    def steep(pixels):
        return 1e4 * linear(pixels)

    results = [last(rays(model, middle(), zeros(), eps=55, generator=numbers())) for model in (linear, steep)]
    assert torch.equal(results[0].attacked, results[1].attacked)


def test_it_ends_when_all_are_fooled_and_leaves_a_fooled_image_as_it_is():
    steps = list(rays(linear, middle(2), torch.tensor([0, 1]), eps=80, generator=numbers()))
    assert len(steps) < 60
    assert torch.equal(steps[-1].attacked[1], middle()[0])
    assert linear(steps[-1].attacked).argmax(1).tolist() == [1, 0]


def test_restarts_begin_with_other_signs():
    settings = {"eps": 5, "steps": 6, "generator": numbers()}
    steps = list(rays(linear, middle(), zeros(), restarts=2, **settings))
    assert len(steps) == 12
    firsts = [steps[index].attacked.flatten().sub(0.5).sign().tolist() for index in (1, 7)]
    assert firsts[0] != firsts[1]


@pytest.mark.parametrize("change", [{"target": 1}, {"norm": "l2"}, {"norm": "l1"}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^RayS.*\.$"):
        next(rays(linear, middle(), zeros(), **({"eps": 8, "generator": numbers()} | change)))
