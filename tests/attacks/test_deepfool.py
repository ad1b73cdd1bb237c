import pytest
import torch

from core.attacks.deepfool import CANDIDATES, OVERSHOOT, deepfool
from tests.attacks.references import foolbox_run, small_cases
from tests.attacks.tiny import last, linear, make_bent, middle, moved, numbers, zeros

FOOLBOX = {"linf": "LinfDeepFoolAttack", "l2": "L2DeepFoolAttack"}


@pytest.mark.parametrize("norm", FOOLBOX)
@pytest.mark.parametrize("name", small_cases())
def test_it_ends_where_foolbox_does(name, norm):
    model, pixels, labels = small_cases()[name]
    theirs, _ = foolbox_run(FOOLBOX[norm], model, pixels, labels, None, steps=50)
    ours = last(deepfool(model, pixels, labels, eps=255, norm=norm))
    assert (theirs - pixels).abs().flatten(1).amax(1).min() > 1e-3
    assert torch.allclose(ours.attacked, theirs, atol=1e-6)


@pytest.mark.parametrize("norm", FOOLBOX)
def test_it_ends_where_foolbox_does_on_the_shipped_classifier(norm, bundle, scans):
    model = bundle.classifiers["resnet18"]
    labels = model(scans).argmax(1)
    theirs, _ = foolbox_run(FOOLBOX[norm], model, scans, labels, None, steps=50)
    ours = last(deepfool(model, scans, labels, eps=255, norm=norm)).attacked
    assert (model(ours).argmax(1) != labels).all()
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("norm, smallest, scale", [("linf", 2.5 / 13, 255), ("l2", 2.5 / 57**0.5, 1)])
def test_it_finds_the_distance_to_a_linear_boundary(norm, smallest, scale):
    """And 2 % more, its overshoot."""
    step = last(deepfool(linear, middle(), zeros(), eps=scale, norm=norm))
    size = moved(step).norm(p=torch.inf if norm == "linf" else 2)
    assert (1 + OVERSHOOT) * smallest < size < (1 + OVERSHOOT) * smallest + 2e-4
    assert linear(step.attacked).argmax() == 1
    step = last(deepfool(linear, middle(), zeros(), eps=0.9 * scale * smallest, norm=norm))
    assert torch.isclose(moved(step).norm(p=torch.inf if norm == "linf" else 2), torch.tensor(0.9 * smallest))


def test_it_asks_once_for_each_of_the_likeliest_classes():
    asked, bent = [], make_bent(14)

    def watched(pixels):
        asked.append(pixels.detach().clone())
        return bent(pixels)

    pixels = torch.rand(1, 1, 8, 8, generator=numbers(3))
    steps = deepfool(watched, pixels, bent(pixels).argmax(1), eps=255, steps=1)
    for count, step in zip(range(1, CANDIDATES + 1), steps):
        assert len(asked) == count and step.index == count - 1
        assert torch.equal(asked[-1], pixels)
    assert len(list(steps)) == 1


def test_a_fooled_image_is_left_as_it_is_while_its_neighbour_moves():
    steps = list(deepfool(linear, middle(2), torch.tensor([1, 0]), eps=255))
    assert torch.equal(steps[-1].attacked[0], middle()[0])
    assert linear(steps[-1].attacked).argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize("change", [{"norm": "l1"}, {"target": 1}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(deepfool(linear, middle(), zeros(), **({"eps": 8} | change)))
