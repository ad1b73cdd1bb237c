import pytest
import torch
from pyautoattack.fab_pt import FABAttack_PT

from core.attacks.fab import Plane, _move, fab, nearest_plane, onto_plane
from tests.attacks.references import AsModule, small_cases
from tests.attacks.tiny import SLOPE, last, linear, middle, moved, numbers, zeros


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", small_cases())
def test_it_goes_the_authors_way(name, norm):
    model, pixels, labels = small_cases()[name]
    theirs, ours = AsModule(model), AsModule(model)
    their_norm = {"linf": "Linf", "l2": "L2"}[norm]
    attacked = FABAttack_PT(theirs, norm=their_norm, n_iter=10).attack_single_run(pixels, labels)
    settings = {"eps": 255, "norm": norm, "steps": 10, "minimise": True, "generator": numbers()}
    result = last(fab(ours, pixels, labels, **settings)).attacked
    # They ask for the labels first. Both then ask for the planes at a point and for the answer at the next; after two
    # steps, rounding decides on which side of the boundary a point is.
    for one, other in zip(ours.asked[:4], theirs.asked[1:]):
        assert torch.allclose(one, other, atol=1e-5)
    order = torch.inf if norm == "linf" else 2
    sizes = [(points - pixels).flatten(1).norm(p=order, dim=1) for points in (result, attacked)]
    assert torch.allclose(*sizes, rtol=0.01)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("first, near, alpha", [(0.5, 0.2, 0.1), (0.79, 0.01, 0.01 / 0.31)])
def test_the_image_pulls_in_proportion_but_at_most_by_alpha_max(norm, first, near, alpha):
    """The plane is `near` ahead of the first pixel; the second is .2 away from the image's and minds the pull alone."""
    here = torch.tensor([first, 0.7, 0.5, 0.5]).view(1, 1, 2, 2)
    plane = Plane(torch.tensor([-near]), torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2), torch.zeros(1, 2))
    far = first + near - 0.5
    expected = [(1 - alpha) * (first + 1.05 * near) + alpha * (0.5 + 1.05 * far), 0.7 - alpha * 0.2, 0.5, 0.5]
    assert _move(here, middle(), plane, norm).flatten().tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("norm, smallest, scale", [("linf", 2.5 / 13, 255), ("l2", 2.5 / 57**0.5, 1)])
def test_a_linear_model_gives_the_distance_to_its_boundary(norm, smallest, scale):
    settings = {"norm": norm, "generator": numbers()}
    step = last(fab(linear, middle(), zeros(), eps=scale, minimise=True, steps=30, **settings))
    size = moved(step).norm(p=torch.inf if norm == "linf" else 2)
    assert smallest < size < 1.01 * smallest
    assert linear(step.attacked).argmax() == 1
    enough, too_little = (
        last(fab(linear, middle(), zeros(), eps=share * smallest * scale, **settings)) for share in (1.01, 0.99)
    )
    assert linear(enough.attacked).argmax() == 1 and linear(too_little.attacked).argmax() == 0
    assert torch.isclose(moved(too_little).norm(p=torch.inf if norm == "linf" else 2), torch.tensor(0.99 * smallest))


def test_the_way_to_a_plane_by_hand():
    points, gradient = middle(), SLOPE.view(1, 1, 2, 2)
    value = torch.tensor([-2.5])
    assert torch.allclose(onto_plane(points, gradient, value, "linf").flatten(), 2.5 / 13 * SLOPE.sign())
    assert torch.allclose(onto_plane(points, gradient, value, "l2").flatten(), 2.5 / 57 * SLOPE)


def test_pixels_at_the_edge_leave_the_way_to_the_others():
    """The pixel of slope -6 can go down by .1 only: .6 of the 2.5, so that the slopes 2 + 4 + 1 share 1.9."""
    points = torch.tensor([0.5, 0.5, 0.5, 0.1]).view(1, 1, 2, 2)
    way = onto_plane(points, SLOPE.view(1, 1, 2, 2), torch.tensor([-2.5]), "linf").flatten()
    assert torch.allclose(way, torch.tensor([-1.9 / 7, 1.9 / 7, -1.9 / 7, -0.1]))
    way = onto_plane(points, SLOPE.view(1, 1, 2, 2), torch.tensor([-2.5]), "l2").flatten()
    assert torch.allclose(way, torch.tensor([-2.0, 4.0, -1.0, 0]) * 1.9 / 21 + torch.tensor([0, 0, 0, -0.1]))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_ways_end_on_the_plane_and_none_is_shorter(norm):
    points, gradient = torch.rand(20, 1, 6, 6, generator=numbers()), torch.randn(20, 1, 6, 6, generator=numbers(1))
    value = 4 * torch.randn(20, generator=numbers(2))
    way = onto_plane(points, gradient, value, norm)
    assert torch.allclose(value + (gradient * way).flatten(1).sum(1), torch.zeros(20), atol=1e-4)
    assert 0 <= (points + way).min() + 1e-6 and (points + way).max() <= 1 + 1e-6
    # Any point of a slightly smaller ball, as far along the gradient as the range lets it go, falls short of the plane.
    short = 0.99 * way.flatten(1).norm(p=torch.inf if norm == "linf" else 2, dim=1).view(-1, 1, 1, 1)
    towards = -value.sign().view(-1, 1, 1, 1) * gradient
    if norm == "linf":
        best = (points + short * towards.sign()).clamp(0, 1) - points
        assert ((towards * best).flatten(1).sum(1) < value.abs()).all()
    stuck = onto_plane(points, gradient, 1000 * value, norm)
    assert torch.allclose(points + stuck, (towards > 0).float(), atol=1e-6)


def test_the_nearest_of_several_boundaries_is_chosen():
    weights = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 0], [4, 4, 0, 0]])

    def three(pixels):
        return (pixels.flatten(1) - 0.5) @ weights.T + torch.tensor([1.0, 0, -1])

    plane = nearest_plane(three, middle(), zeros(), "linf")  # 1 / 1 to class 1, 2 / 8 to class 2
    assert plane.value.item() == -2
    assert torch.equal(plane.gradient.flatten(), weights[2])


def test_a_fooled_image_is_left_as_it_is():
    steps = list(fab(linear, middle(), torch.ones(1, dtype=torch.long), eps=8, generator=numbers()))
    assert len(steps) == 1 and torch.equal(steps[0].attacked, middle())


def test_restarts_begin_elsewhere():
    """A valley of no gradient around the image: only a start at another place finds the way out."""

    def flat(pixels):
        far = (pixels.flatten(1) - 0.5).abs().amax(1)
        return torch.stack([torch.zeros_like(far), (far - 0.05).clamp_min(0) - 0.01], 1)

    results = [last(fab(flat, middle(), zeros(), eps=51, steps=10, restarts=n, generator=numbers())) for n in (1, 5)]
    assert [flat(step.attacked).argmax().item() for step in results] == [0, 1]


@pytest.mark.parametrize("change", [{"target": 1}, {"norm": "l1"}])
def test_what_it_cannot_do_is_said_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(fab(linear, middle(), zeros(), **({"eps": 8, "generator": numbers()} | change)))
