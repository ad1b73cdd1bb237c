import pytest
import torch

from core.attacks.gradient import fgsm, pgd, project, radius, steepest, within
from tests.attacks.references import foolbox, foolbox_model, small_cases
from tests.attacks.tiny import last, middle, numbers

WEIGHTS = torch.tensor([[1.0, -2.0, 0.0, 3.0], [-1.0, 2.0, 0.0, -3.0]])


def linear(pixels):
    return pixels.flatten(1) @ WEIGHTS.T


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", small_cases())
def test_pgd_from_the_same_start_is_foolboxs(name, norm):
    model, pixels, labels = small_cases()[name]
    size, stride = radius(8 if norm == "linf" else 0.5, norm), radius(2 if norm == "linf" else 0.1, norm)
    start = (pixels + 0.02 * torch.rand(pixels.shape, generator=numbers(4))).clamp(0, 1)

    class FromStart({"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]):
        def get_random_start(self, x0, epsilon):
            return type(x0)(start)

    theirs = FromStart(abs_stepsize=stride, steps=15).run(
        foolbox_model(model), pixels, foolbox.Misclassification(labels), epsilon=size
    )
    settings = {"eps": 8, "step_size": 2} if norm == "linf" else {"eps": 0.5, "step_size": 0.1}
    ours = last(pgd(model, pixels, labels, norm=norm, steps=15, start=start, generator=numbers(), **settings))
    assert (theirs - pixels).abs().max() > 0.03
    assert torch.allclose(ours.attacked, theirs, atol=1e-6)


@pytest.mark.parametrize("name", small_cases())
def test_fgsm_is_foolboxs(name):
    model, pixels, labels = small_cases()[name]
    theirs = foolbox.attacks.LinfFastGradientAttack().run(
        foolbox_model(model), pixels, foolbox.Misclassification(labels), epsilon=8 / 255
    )
    assert torch.allclose(last(fgsm(model, pixels, labels, eps=8)).attacked, theirs, atol=1e-6)


@pytest.mark.parametrize("norm, length", [("linf", 0.2), ("l2", 0.2), ("l1", 0.2)])
def test_a_step_of_pgd_is_two_and_a_half_radii_over_their_number(norm, length):
    eps, order = (51, torch.inf) if norm == "linf" else (length, {"l2": 2, "l1": 1}[norm])
    settings = {"eps": eps, "norm": norm, "steps": 10, "start": middle(), "generator": numbers()}
    steps = list(pgd(linear, middle(), torch.tensor([0]), **settings))
    for count in (1, 2, 3, 4):
        moved = (steps[count - 1].attacked - 0.5).flatten().norm(p=order)
        assert moved.item() == pytest.approx(count * 2.5 * length / 10, rel=1e-5)
    assert (steps[4].attacked - 0.5).flatten().norm(p=order).item() == pytest.approx(length, rel=1e-5)


def test_fgsm_moves_each_pixel_against_the_sign_of_the_weight():
    step = last(fgsm(linear, middle(), torch.tensor([0]), eps=51))
    assert torch.allclose(step.attacked.flatten(), torch.tensor([0.3, 0.7, 0.5, 0.3]))


def test_pgd_ends_in_the_same_corner_as_fgsm_on_a_linear_model():
    step = last(pgd(linear, middle(), torch.tensor([0]), eps=51, steps=20, generator=numbers()))
    moved = (step.attacked - 0.5).flatten()
    assert torch.allclose(moved[[0, 1, 3]], torch.tensor([-0.2, 0.2, -0.2]), atol=1e-6)


def test_pgd_l2_follows_the_gradient_to_the_sphere():
    step = last(
        pgd(linear, middle(), torch.tensor([0]), eps=0.2, norm="l2", steps=50, step_size=0.2, generator=numbers())
    )
    direction = WEIGHTS[1] / WEIGHTS[1].norm()
    assert torch.allclose((step.attacked - 0.5).flatten(), 0.2 * direction, atol=1e-3)


@pytest.mark.parametrize("norm, order", [("linf", float("inf")), ("l2", 2), ("l1", 1)])
def test_attacks_stay_in_the_ball_and_in_the_pixels_range(norm, order):
    pixels, eps = torch.rand(6, 1, 2, 2, generator=numbers()), 30 if norm == "linf" else 0.3
    labels = torch.tensor([0, 1] * 3)
    for step in pgd(linear, pixels, labels, eps=eps, norm=norm, steps=7, restarts=2, generator=numbers()):
        sizes = (step.attacked - pixels).flatten(1).norm(p=order, dim=1)
        assert (sizes <= radius(eps, norm) + 1e-6).all()
        assert 0 <= step.attacked.min() and step.attacked.max() <= 1


def test_projection_onto_the_l1_ball_is_the_known_one():
    delta = torch.tensor([3.0, -1.0, 0.5, 0.0]).view(1, 1, 2, 2)
    assert torch.allclose(project(delta, 2.0, "l1").flatten(), torch.tensor([2.0, 0.0, 0.0, 0.0]))
    assert torch.allclose(project(delta, 3.0, "l1").flatten(), torch.tensor([2.5, -0.5, 0.0, 0.0]))
    inside = 0.1 * delta
    assert torch.equal(project(inside, 2.0, "l1"), inside)


def test_the_nearest_change_of_an_image_in_the_l1_ball_and_in_range_is_found_by_no_other_that_is_nearer():
    pixels = torch.rand(4, 1, 4, 4, generator=numbers(1)).round(decimals=1)
    points = pixels + torch.randn(pixels.shape, generator=numbers(2))
    found = within(points, pixels, 1.5, "l1")
    assert torch.allclose((found - pixels).flatten(1).abs().sum(1), torch.full((4,), 1.5), atol=1e-5)
    assert 0 <= found.min() and found.max() <= 1
    distance = (found - points).flatten(1).norm(dim=1)
    for seed in range(200):
        shift = 0.3 * torch.randn(pixels.shape, generator=numbers(seed))
        other = (pixels + project(found + shift - pixels, 1.5, "l1")).clamp(0, 1)  # in both, as pixels are in range
        assert ((other - points).flatten(1).norm(dim=1) >= distance - 1e-5).all()
    inside = (pixels + 0.001).clamp(max=1)
    assert torch.allclose(within(inside, pixels, 1.5, "l1"), inside)


def test_the_l1_radius_is_spent_where_pixels_can_still_move():
    """Three of four pixels are black and their gradients point down: all that can be done is done to the fourth."""
    black = torch.tensor([0.0, 0.0, 0.0, 0.5]).view(1, 1, 2, 2)
    gradient = torch.tensor([-9.0, -8.0, -7.0, 1.0]).view(1, 1, 2, 2)
    assert steepest(gradient, "l1", black).flatten().tolist() == [0, 0, 0, 1]
    assert steepest(gradient, "l1").flatten().tolist() == [-1, 0, 0, 0]


def test_steepest_directions_have_unit_length():
    gradient = torch.randn(3, 1, 8, 8, generator=numbers())
    assert torch.allclose(steepest(gradient, "l2").flatten(1).norm(dim=1), torch.ones(3))
    assert torch.allclose(steepest(gradient, "l1").flatten(1).abs().sum(1), torch.ones(3))


def test_same_seed_same_pixels_and_no_global_randomness():
    before = torch.random.get_rng_state()
    first, second = (
        last(pgd(linear, middle(2), torch.tensor([0, 1]), eps=8, steps=3, generator=numbers())) for _ in range(2)
    )
    assert torch.equal(first.attacked, second.attacked)
    assert torch.equal(before, torch.random.get_rng_state())


def test_restarts_keep_the_worst_for_each_image():
    def bumpy(pixels):
        flat = pixels.flatten(1)
        return torch.stack([torch.cos(40 * flat).sum(1), torch.zeros(len(flat))], 1)

    pixels, labels = middle(4), torch.zeros(4, dtype=torch.long)
    one = last(pgd(bumpy, pixels, labels, eps=30, steps=2, generator=numbers())).attacked
    many = last(pgd(bumpy, pixels, labels, eps=30, steps=2, restarts=8, generator=numbers())).attacked
    assert (bumpy(many)[:, 0] <= bumpy(one)[:, 0] + 1e-6).all()
    assert (bumpy(many)[:, 0] < bumpy(one)[:, 0] - 1e-3).any()


def test_eot_averages_a_random_model():
    noise = torch.Generator().manual_seed(1)

    def random_model(pixels):
        return linear(pixels) + torch.randn(len(pixels), 2, generator=noise)

    step = last(pgd(random_model, middle(), torch.tensor([0]), eps=51, steps=10, eot=4, generator=numbers()))
    assert torch.allclose((step.attacked - 0.5).flatten()[[1, 3]], torch.tensor([0.2, -0.2]), atol=1e-6)


@pytest.mark.parametrize(
    "change", [{"eps": -1}, {"eps": 300}, {"steps": 0}, {"norm": "l7"}, {"restarts": 0}, {"eot": 0}]
)
def test_wrong_parameters_give_a_sentence(change):
    settings = {"eps": 8, "generator": numbers()} | change
    with pytest.raises(ValueError, match=r"^[A-Zε].*\.$"):
        last(pgd(linear, middle(), torch.tensor([0]), **settings))
