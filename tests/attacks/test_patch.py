import pytest
import torch

from core.attacks.patch import patch, patch_place
from tests.attacks.tiny import last, linear, middle, moved, numbers, zeros


def test_one_pixel_of_four_goes_where_the_slope_is_largest_and_all_the_way():
    step = last(patch(linear, middle(), zeros(), eps=1, patch_share=0.5, steps=20, generator=numbers()))
    assert torch.allclose(moved(step), torch.tensor([0.0, 0.0, 0.0, -0.5]))
    assert linear(step.attacked).argmax() == 1  # 1.25 - 1.5 below -1.25 + 1.5


def test_the_place_is_the_square_of_the_largest_sum():
    gradient = torch.zeros(2, 2, 6, 6)
    gradient[0, 0, 1, 4], gradient[0, 1, 2, 5], gradient[0, 0, 5, 0] = 2.0, -2.0, 3.0
    gradient[1, 0, 5, 0] = -1.0
    inside = patch_place(gradient, 2)
    assert inside.shape == (2, 1, 6, 6) and inside.flatten(1).sum(1).tolist() == [4, 4]
    assert inside[0, 0, 1:3, 4:6].all() and inside[1, 0, 4:6, 0:2].all()


@pytest.mark.parametrize("place", ["gradient", "random"])
def test_everything_outside_the_square_stays(place):
    pixels = torch.rand(3, 1, 10, 10, generator=numbers(4))
    weights = torch.randn(100, 2, generator=numbers(5))

    def wide(pixels):
        return pixels.flatten(1) @ weights

    labels = wide(pixels).argmax(1)
    settings = {"place": place, "patch_share": 0.3, "steps": 10}
    results = [last(patch(wide, pixels, labels, generator=numbers(seed), **settings)).attacked for seed in (0, 1)]
    for attacked in results:
        assert 0 <= attacked.min() and attacked.max() <= 1
        for changed in (attacked != pixels)[:, 0]:
            rows, columns = changed.any(1).nonzero(), changed.any(0).nonzero()
            assert 0 < rows.max() - rows.min() < 3 and 0 < columns.max() - columns.min() < 3
    same_place = torch.equal(results[0] != pixels, results[1] != pixels)
    assert same_place == (place == "gradient")


@pytest.mark.parametrize("change", [{"patch_share": 0}, {"patch_share": 1.5}, {"place": "corner"}])
def test_wrong_parameters_give_a_sentence(change):
    with pytest.raises(ValueError, match=r"^T.*\.$"):
        next(patch(linear, middle(), zeros(), generator=numbers(), **change))
