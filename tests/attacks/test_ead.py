import pytest
import torch

from core.attacks.ead import ead
from tests.attacks.references import foolbox_run, small_cases
from tests.attacks.tiny import last, linear, middle, moved, zeros

SETTINGS = {"binary_search_steps": 5, "initial_const": 0.1, "abort_early": False, "decision_rule": "L1"}


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("name", small_cases())
def test_it_ends_where_foolbox_does(name, target):
    model, pixels, labels = small_cases()[name]
    theirs, found = foolbox_run("EADAttack", model, pixels, labels, target, steps=40, **SETTINGS)
    ours = last(ead(model, pixels, labels, eps=100, steps=40, target=target))
    assert found.any()
    assert torch.allclose(ours.attacked[found], theirs[found], atol=1e-6)


@pytest.mark.slow
def test_it_ends_where_foolbox_does_on_the_shipped_classifier(bundle, scans):
    model = bundle.classifiers["resnet18"]
    labels = model(scans).argmax(1)
    theirs, found = foolbox_run("EADAttack", model, scans, labels, None, steps=6, **SETTINGS)
    ours = last(ead(model, scans, labels, eps=255, steps=6)).attacked
    assert found.any() and torch.allclose(ours[found], theirs[found], atol=1e-5)


def test_it_comes_near_the_distance_to_a_linear_boundary():
    """The largest slope, 6, alone would take 2.5 / 6 in ℓ1."""
    step = last(ead(linear, middle(), zeros(), eps=1))
    assert 2.5 / 6 <= moved(step).abs().sum() < 1.2 * 2.5 / 6
    assert linear(step.attacked).argmax() == 1


def test_a_target_class_is_reached():
    def three(pixels):
        return 4 * pixels.flatten(1)[:, :3]

    pixels = torch.tensor([0.9, 0.8, 0.7, 0.5]).view(1, 1, 2, 2)
    step = last(ead(three, pixels, zeros(), eps=1, target=2))
    assert three(step.attacked).argmax() == 2


@pytest.mark.slow
def test_a_hopeless_neighbour_does_not_end_the_search_early():
    def steep_or_flat(pixels):
        """No gradient at all where the first pixel is black."""
        dark = pixels[:, 0, 0, :1] < 0.01
        return torch.where(dark, torch.tensor([1e6, 0.0]), linear(pixels))

    hopeless = middle()
    hopeless[..., 0, 0] = 0
    alone, together = (
        last(ead(steep_or_flat, batch, zeros(len(batch)), eps=2, steps=30, searches=2)).attacked[0]
        for batch in (middle(), torch.cat([middle(), hopeless]))
    )
    assert linear(alone[None]).argmax() == 1
    assert torch.allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize("change", [{"norm": "linf"}, {"steps": 0}, {"searches": 0}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(ead(linear, middle(), zeros(), **({"eps": 8} | change)))
