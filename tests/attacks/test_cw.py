import pytest
import torch

from core.attacks import AttackSettings, attack_steps
from core.attacks.cw import cw
from tests.attacks.references import foolbox_run, small_cases
from tests.attacks.tiny import last, linear, middle, moved, numbers, zeros

SETTINGS = {"binary_search_steps": 5, "initial_const": 0.1, "abort_early": False}


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("name", small_cases())
def test_l2_ends_where_foolbox_does(name, target):
    model, pixels, labels = small_cases()[name]
    theirs, found = foolbox_run("L2CarliniWagnerAttack", model, pixels, labels, target, steps=40, **SETTINGS)
    ours = last(cw(model, pixels, labels, eps=100, norm="l2", steps=40, target=target, generator=numbers()))
    assert found.any()
    assert torch.allclose(ours.attacked[found], theirs[found], atol=1e-6)


@pytest.mark.slow
def test_l2_ends_where_foolbox_does_on_the_shipped_classifier(bundle, scans):
    model, settings = bundle.classifiers["resnet18"], AttackSettings("cw", eps=100, norm="l2", steps=6)
    labels = model(scans).argmax(1)
    theirs, found = foolbox_run("L2CarliniWagnerAttack", model, scans, labels, None, steps=6, **SETTINGS)
    ours = last(attack_steps(model, scans, labels, settings, 0)).attacked
    assert found.any() and torch.allclose(ours[found], theirs[found], atol=1e-5)


def test_l2_finds_the_distance_to_a_linear_boundary():
    step = last(cw(linear, middle(), zeros(), eps=1, norm="l2", generator=numbers()))
    assert 2.5 / 57**0.5 <= moved(step).norm() < 1.03 * 2.5 / 57**0.5
    assert linear(step.attacked).argmax() == 1


def test_linf_ends_in_the_corner():
    step = last(cw(linear, middle(), zeros(), eps=51, generator=numbers()))
    assert torch.allclose(moved(step), torch.tensor([-0.2, 0.2, -0.2, -0.2]), atol=1e-6)


def test_a_step_in_linf_is_two_and_a_half_radii_over_their_number():
    asked = []

    def watched(pixels):
        asked.append(pixels.detach().flatten())
        return linear(pixels)

    list(cw(watched, middle(), zeros(), eps=51, steps=1000, generator=numbers()))
    assert torch.allclose((asked[1] - asked[0]).abs(), torch.tensor(2.5 * 0.2 / 1000), atol=1e-7)


def test_linf_climbs_no_further_than_kappa():
    """A hundred times as steep, the margin is above 50 at once, where it is cut off and has no gradient."""

    def steep(pixels):
        return 100 * linear(pixels)

    steps = list(cw(steep, middle(), zeros(), eps=60, steps=20, generator=numbers()))
    assert max(step.loss.item() for step in steps) == 50


def test_a_target_class_is_reached():
    def three(pixels):
        return 4 * pixels.flatten(1)[:, :3]

    pixels = torch.tensor([0.9, 0.8, 0.7, 0.5]).view(1, 1, 2, 2)
    step = last(cw(three, pixels, zeros(), eps=1, norm="l2", target=2, generator=numbers()))
    assert three(step.attacked).argmax() == 2


@pytest.mark.parametrize("black_fools", [False, True])
def test_where_nothing_fools_the_highest_margin_seen_counts(black_fools):
    """The second class can't win by small changes; whether a black image would is no matter."""

    def stubborn(pixels):
        far = pixels.flatten(1).mean(1)
        return torch.stack([torch.where((far < 0.01) & black_fools, -5.0, 2 + far), 1.5 * far], 1)

    step = last(cw(stubborn, middle(), zeros(), eps=0.2, norm="l2", steps=5, generator=numbers()))
    assert moved(step).min() > 0 and moved(step).norm() <= 0.2 + 1e-6


def test_a_hopeless_neighbour_does_not_end_the_search_early():
    def steep_or_flat(pixels):
        """No gradient at all where the first pixel is black."""
        dark = pixels[:, 0, 0, :1] < 0.01
        return torch.where(dark, torch.tensor([1e6, 0.0]), linear(pixels))

    hopeless = middle()
    hopeless[..., 0, 0] = 0
    alone, together = (
        last(cw(steep_or_flat, batch, zeros(len(batch)), eps=2, norm="l2", searches=2, generator=numbers())).attacked[0]
        for batch in (middle(), torch.cat([middle(), hopeless]))
    )
    assert linear(alone[None]).argmax() == 1
    assert torch.allclose(alone, together, atol=1e-6)


def test_l2_asks_once_a_step_and_shows_what_it_asked():
    asked = []

    def watched(pixels):
        asked.append(pixels.detach())
        return linear(pixels)

    steps = cw(watched, middle(), zeros(), eps=1, norm="l2", steps=3, generator=numbers())
    for count, step in zip(range(1, 16), steps):
        assert len(asked) == count and step.index == count - 1
        assert torch.equal(step.attacked, asked[-1]) and torch.equal(step.logits, linear(asked[-1]))
    assert len(list(steps)) == 1


@pytest.mark.parametrize("change", [{"norm": "l1"}, {"searches": 0, "norm": "l2"}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(cw(linear, middle(), zeros(), **({"eps": 8, "generator": numbers()} | change)))
