import pytest
import torch
from pyautoattack.square import SquareAttack

from core.attacks.gradient import radius
from core.attacks.square import SHARES, _bump, _shift_budget, _squares, _stripes, _two_halves, square, square_side
from tests.attacks.references import small_cases
from tests.attacks.tiny import SLOPE, last, linear, middle, moved, numbers, zeros


@pytest.mark.slow
@pytest.mark.parametrize("norm, eps", [("linf", 6), ("l2", 0.25)])
def test_it_fools_about_as_many_as_the_authors_do(norm, eps):
    """Random draws differ, hence the count of 48 images at a radius that fools about half of them."""
    model, *_ = small_cases()["bent, 5 classes"]
    pixels = torch.rand(48, 1, 8, 8, generator=numbers(6))
    labels = model(pixels).argmax(1)
    reference = SquareAttack(
        model,
        norm={"linf": "Linf", "l2": "L2"}[norm],
        n_queries=300,
        eps=radius(eps, norm),
        p_init=SHARES[norm],
        device="cpu",
    )
    with torch.random.fork_rng():
        reference.init_hyperparam(pixels)
        theirs = reference.perturb(pixels, labels)
    ours = last(square(model, pixels, labels, eps=eps, norm=norm, steps=300, generator=numbers())).attacked
    counts = [(model(attacked).argmax(1) != labels).sum().item() for attacked in (theirs, ours)]
    assert 12 <= counts[0] <= 36 and abs(counts[0] - counts[1]) <= 6


def test_bumps_and_sizes_are_the_authors():
    reference = SquareAttack(None, norm="L2", n_queries=10_000, eps=1, p_init=0.1, device="cpu")
    for side in (5, 9, 20):
        assert torch.allclose(_bump(side, side), reference.eta_rectangles(side, side))
    with torch.random.fork_rng():
        halves = reference.eta(7)
    assert any(torch.allclose(_two_halves(7, upright), halves) for upright in (True, False))
    # They halve once more after 500 queries than the paper says.
    for query in (0, 10, 11, 50, 51, 200, 201, 500):
        theirs = round((reference.p_selection(query) * 100 * 100) ** 0.5)
        assert square_side(query, 10_000, 100, 100, "l2") == theirs + 1 - theirs % 2


def test_it_flips_a_linear_model_as_soon_as_the_radius_allows():
    for eps, expected in ((1.01 * 2.5 / 13 * 255, 1), (0.99 * 2.5 / 13 * 255, 0)):
        step = last(square(linear, middle(), zeros(), eps=eps, steps=400, generator=numbers()))
        assert linear(step.attacked).argmax() == expected
    assert torch.allclose(moved(step), eps / 255 * SLOPE.sign(), atol=1e-6)  # the corner of the highest margin


@pytest.mark.slow
def test_l2_comes_near_what_the_slope_gives():
    nearest = 2.5 / 57**0.5
    for eps, expected in ((1.3 * nearest, 1), (0.99 * nearest, 0)):
        step = last(square(linear, middle(), zeros(), eps=eps, norm="l2", steps=2000, generator=numbers()))
        assert linear(step.attacked).argmax() == expected


def test_the_schedule_is_the_papers_at_ten_thousand_queries_and_stretches():
    """p = .8, .4, .2 … of 100 × 100 pixels: sides 89, 63, 45, 32, 22, 16, 11, 8, 6."""
    queries = (0, 11, 51, 201, 1001, 2001, 4001, 6001, 8001)
    assert [square_side(query, 10_000, 100, 100, "linf") for query in queries] == [89, 63, 45, 32, 22, 16, 11, 8, 6]
    assert square_side(10, 10_000, 100, 100, "linf") == 89
    assert square_side(101, 1000, 100, 100, "linf") == square_side(1010, 10_000, 100, 100, "linf")


def test_the_search_begins_with_stripes():
    pixels = torch.full((2, 3, 6, 6), 0.5)
    delta = _stripes(pixels, [numbers(0), numbers(1)], 0.1) - 0.5
    assert torch.allclose(delta.abs(), torch.full_like(delta, 0.1))
    assert torch.equal(delta, delta[:, :, :1].expand_as(delta))
    assert not torch.equal(delta[0], delta[1]) and not torch.equal(delta[:, 0], delta[:, 1])


def test_a_square_of_one_sign_changes_at_its_place_in_each_image():
    pixels = torch.full((2, 1, 6, 6), 0.5)
    chances = torch.tensor([[0.0, 0.0, 0.1], [0.999, 0.5, 0.9]])
    changed = _squares(pixels, pixels, chances, 2, 0.1) - 0.5
    assert torch.allclose(changed[0, 0, :2, :2], torch.tensor(0.1)) and changed[0].count_nonzero() == 4
    assert torch.allclose(changed[1, 0, 4:, 2:4], torch.tensor(-0.1)) and changed[1].count_nonzero() == 4


def test_a_square_that_is_there_already_takes_the_other_sign():
    pixels, chances = torch.full((1, 1, 6, 6), 0.5), torch.tensor([[0.0, 0.0, 0.1]])
    there = _squares(pixels, pixels, chances, 2, 0.1)
    assert torch.allclose(_squares(there, pixels, chances, 2, 0.1)[0, 0, :2, :2], torch.tensor(0.4))


def test_bumps_are_highest_in_the_middle():
    bump = _bump(5, 5)
    assert torch.isclose(bump.norm(), torch.tensor(1.0))
    heights = bump[2, 2:] / bump[2, 4]
    assert torch.allclose(heights, torch.tensor([1 + 1 / 4 + 1 / 9, 1 / 4 + 1 / 9, 1 / 9]) * 9)
    halves = _two_halves(7, True)
    assert (halves[:3] > 0).all() and (halves[3:] < 0).all()
    assert torch.equal(_two_halves(7, False), halves.T)


def test_a_shifted_budget_uses_the_whole_radius():
    delta = torch.zeros(1, 12, 12)
    delta[0, 0, 0] = 0.3
    for _ in range(3):
        delta = _shift_budget(delta, [0.0, 0.7, 0.0, 0.7, 0.2, 0.9], 3, 0.5)
        assert torch.isclose(delta.norm(), torch.tensor(0.5))
    assert delta[0, :3, :3].count_nonzero() == 0 and delta[0, 7:10, 7:10].count_nonzero() == 9  # all of it has moved


def test_it_asks_for_no_gradient_and_one_query_a_step():
    asked = []

    def watched(pixels):
        asked.append((len(pixels), torch.is_grad_enabled() or pixels.requires_grad))
        return linear(pixels)

    steps = list(square(watched, middle(2), zeros(2), eps=5, steps=30, generator=numbers()))
    assert asked == [(2, False)] * 30
    assert [step.index for step in steps] == list(range(30))
    losses = torch.stack([step.loss for step in steps])
    assert torch.allclose(losses[0], torch.tensor(-2.5))


def test_a_fooled_image_is_asked_about_no_more():
    sizes = []

    def watched(pixels):
        sizes.append(len(pixels))
        return linear(pixels)

    list(square(watched, middle(2), torch.tensor([0, 1]), eps=80, steps=500, generator=numbers()))
    assert sizes[:2] == [2, 1] and set(sizes[1:]) == {1} and len(sizes) < 100


@pytest.mark.slow
def test_a_target_class_is_reached():
    def three(pixels):
        return pixels.flatten(1)[:, :3]

    pixels = torch.tensor([0.9, 0.8, 0.7, 0.5]).view(1, 1, 2, 2)
    step = last(square(three, pixels, zeros(), eps=0.15 * 255, target=2, steps=300, generator=numbers()))
    assert three(step.attacked).argmax() == 2


def test_the_l1_norm_is_refused():
    with pytest.raises(ValueError, match=r"linf or l2.*\.$"):
        next(square(linear, middle(), zeros(), eps=8, norm="l1", generator=numbers()))
