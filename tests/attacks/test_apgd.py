import pytest
import torch
from pyautoattack.autopgd_base import APGDAttack
from torch.nn.functional import cross_entropy

from core.attacks.apgd import _StepSizes, apgd, checkpoints, dlr
from core.attacks.gradient import pgd, radius
from tests.attacks.references import AsModule, small_cases
from tests.attacks.tiny import SLOPE, last, linear, make_bent, middle, moved, numbers, zeros


@pytest.mark.parametrize("norm, eps", [("linf", 8), ("l2", 0.5)])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("name", [name for name in small_cases() if "2 classes" not in name])
def test_it_goes_the_authors_way(name, loss, norm, eps):
    """Step for step until the first checkpoint, where they count a rise more, and in the end as high."""
    model, pixels, labels = small_cases()[name]
    start = (pixels + 0.02 * torch.rand(pixels.shape, generator=numbers(4))).clamp(0, 1)
    theirs, ours = AsModule(model), AsModule(model)
    with torch.random.fork_rng():
        reference = APGDAttack(theirs, norm={"linf": "Linf", "l2": "L2"}[norm], eps=radius(eps, norm), loss=loss)
        reference.init_hyperparam(pixels)
        _, standing, highest, _ = reference.attack_single_run(pixels, labels, x_init=start)
    settings = {"eps": eps, "norm": norm, "loss": loss, "start": start, "generator": numbers()}
    steps = list(apgd(ours, pixels, labels, **settings))
    for one, other in zip(ours.asked[: checkpoints(100)[1]], theirs.asked):
        assert torch.allclose(one, other, atol=1e-5)
    assert torch.equal(model(steps[-1].attacked).argmax(1) == labels, standing)
    if loss == "ce":  # DLR has no bound where an image is fooled
        assert torch.allclose(torch.stack([step.loss for step in steps]).amax(0), highest, atol=0.01, rtol=0.01)


def test_a_linear_model_is_driven_into_the_corner_of_the_ball():
    step = last(apgd(linear, middle(), zeros(), eps=51, steps=20, generator=numbers()))
    assert torch.allclose(moved(step), torch.tensor([-0.2, 0.2, -0.2, -0.2]), atol=1e-6)


def test_l2_follows_the_slope_to_the_sphere():
    step = last(apgd(linear, middle(), zeros(), eps=0.2, norm="l2", steps=60, generator=numbers()))
    assert torch.allclose(moved(step), 0.2 * SLOPE / SLOPE.norm(), atol=2e-3)


def test_checkpoints_are_the_papers():
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]


def test_the_first_two_steps_by_hand():
    """η = 2ε, so x₁ is in the corner; momentum keeps x₂ there, as .75 · 0 + .25 · (x₁ − x₀) leaves the ball."""
    steps = list(apgd(linear, middle(), zeros(), eps=51, steps=2, start=middle(), generator=numbers()))
    assert torch.allclose(steps[0].loss, cross_entropy(linear(middle()), zeros()))
    corner = middle() + 0.2 * SLOPE.sign().view(1, 1, 2, 2)
    assert torch.allclose(steps[1].loss, cross_entropy(linear(corner), zeros()))
    assert torch.equal(steps[0].logits, linear(middle()))
    assert torch.allclose(steps[1].attacked, corner)


def test_the_step_halves_where_rises_are_too_few_and_where_nothing_was_gained():
    step_sizes = _StepSizes(3, 1.0, torch.device("cpu"))
    for losses in ([0, 0, 0], [1, 1, -1], [2, 0, -2], [3, 1, -3], [4, 0, -4]):
        step_sizes.note(torch.tensor(losses, dtype=torch.float))
    assert step_sizes.judge(4).tolist() == [False, True, True]  # rises: 4 of 4, 2 of 4, 0 of 4
    assert step_sizes.size.tolist() == [1.0, 0.5, 0.5]
    for losses in ([0, 0, -4], [1, 1, -3.9], [2, 2, -3.8], [3, 3, -3.7]):
        step_sizes.note(torch.tensor(losses, dtype=torch.float))
    # The first rose three times of four, which is enough, but never above its 4, without having been halved before.
    assert step_sizes.judge(8).tolist() == [True, False, False]


def test_where_it_stalls_it_goes_on_from_the_best_point_with_the_gradient_there():
    """A ridge at .5 and a start at .51: nothing else is as high until the first checkpoint, the 21st of 95 steps.

    The step is then ε, half of what it was, and the gradient at .51 points down: three quarters of the way to .31.
    """
    asked = []

    def ridge(pixels):
        asked.append(pixels.detach().mean().item())
        height = -(pixels.flatten(1) - 0.5).abs().mean(1)
        return torch.stack([torch.zeros_like(height), height], 1)

    list(apgd(ridge, middle(), zeros(), eps=51, steps=95, start=middle() + 0.01, generator=numbers()))
    assert min(abs(point - 0.5) for point in asked[1:21]) > 0.01
    assert asked[21] < 0.5  # the gradient there points up
    assert asked[22] == pytest.approx(0.36)


def test_dlr_by_hand_and_its_indifference_to_scale():
    logits = torch.tensor([[4.0, 1.0, 2.0, 0.0], [1.0, 5.0, 2.0, 3.0]])
    labels = torch.tensor([0, 2])
    expected = torch.tensor([(2 - 4) / (4 - 1), (5 - 2) / (5 - 2)])
    assert torch.allclose(dlr(logits, labels), expected)
    assert torch.allclose(dlr(1000 * logits, labels), expected)


def test_dlr_climbs_where_cross_entropy_has_no_gradient():
    three = torch.tensor([[300.0, 0, 0, 0], [0, 300.0, 0, 0], [0, 0, 300.0, 0]])

    def steep(pixels):
        return 10 * pixels.flatten(1) @ three.T

    pixels = torch.tensor([0.9, 0.6, 0.1, 0.5]).view(1, 1, 2, 2)
    settings = {"eps": 0.17 * 255, "steps": 20, "start": pixels, "generator": numbers()}
    for loss, expected in (("ce", 0), ("dlr", 1)):
        assert steep(last(apgd(steep, pixels, zeros(), loss=loss, **settings)).attacked).argmax() == expected


@pytest.mark.parametrize("norm, eps", [("linf", 12), ("l2", 0.3)])
def test_at_least_as_good_as_pgd(norm, eps):
    bent = make_bent()
    pixels = torch.rand(16, 1, 8, 8, generator=numbers(3))
    labels = bent(pixels).argmax(1)
    losses = [
        cross_entropy(bent(last(attack(bent, pixels, labels, eps=eps, norm=norm, **more)).attacked), labels)
        for attack, more in ((apgd, {"generator": numbers()}), (pgd, {"generator": numbers(), "steps": 100}))
    ]
    assert losses[0] >= losses[1] - 1e-3


def test_a_target_class_is_reached():
    def three(pixels):
        return pixels.flatten(1)[:, :3]

    pixels = torch.tensor([0.9, 0.8, 0.7, 0.5]).view(1, 1, 2, 2)
    step = last(apgd(three, pixels, zeros(), eps=0.15 * 255, target=2, steps=30, generator=numbers()))
    assert three(step.attacked).argmax() == 2


def test_until_fooled_ends_early_and_restarts_are_added_up():
    settings = {"eps": 80, "steps": 10, "generator": numbers()}
    assert len(list(apgd(linear, middle(), zeros(), until_fooled=True, **settings))) < 4
    assert [step.index for step in apgd(linear, middle(), zeros(), restarts=3, **settings)] == list(range(30))


@pytest.mark.parametrize("change", [{"loss": "dlr"}, {"loss": "hinge"}, {"loss": "dlr", "target": 1}, {"norm": "l1"}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(apgd(linear, middle(), zeros(), **({"eps": 8, "generator": numbers()} | change)))
