import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from core.attacks.gradient import pgd
from core.attacks.library import _Wrapped, cw, deepfool, ead, foolbox, stepped
from tests.core.tiny import last, linear, make_bent, middle, moved, numbers, zeros

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("norm, smallest, scale", [("linf", 2.5 / 13, 255), ("l2", 2.5 / 57**0.5, 1)])
def test_deepfool_finds_the_distance_to_a_linear_boundary(norm, smallest, scale):
    """And 2 % more: foolbox's overshoot."""
    step = last(deepfool(linear, middle(), zeros(), eps=scale, norm=norm))
    size = moved(step).norm(p=torch.inf if norm == "linf" else 2)
    assert smallest < size < 1.025 * smallest
    assert linear(step.attacked).argmax() == 1
    step = last(deepfool(linear, middle(), zeros(), eps=0.9 * scale * smallest, norm=norm))
    assert torch.isclose(moved(step).norm(p=torch.inf if norm == "linf" else 2), torch.tensor(0.9 * smallest))


def test_cw_finds_the_distance_in_l2():
    step = last(cw(linear, middle(), zeros(), eps=1, norm="l2", generator=numbers()))
    assert 2.5 / 57**0.5 <= moved(step).norm() < 1.03 * 2.5 / 57**0.5
    assert linear(step.attacked).argmax() == 1


def test_ead_comes_near_the_distance_in_l1():
    """The largest slope, 6, alone would take 2.5 / 6 in ℓ1."""
    step = last(ead(linear, middle(), zeros(), eps=1))
    assert 2.5 / 6 <= moved(step).abs().sum() < 1.2 * 2.5 / 6
    assert linear(step.attacked).argmax() == 1


def test_cw_in_linf_ends_in_the_corner():
    step = last(cw(linear, middle(), zeros(), eps=51, generator=numbers()))
    assert torch.allclose(moved(step), torch.tensor([-0.2, 0.2, -0.2, -0.2]), atol=1e-6)


def test_cw_in_linf_climbs_no_further_than_kappa():
    """A hundred times as steep, the margin is above 50 at once, where it is cut off and has no gradient."""

    def steep(pixels):
        return 100 * linear(pixels)

    steps = list(cw(steep, middle(), zeros(), eps=60, steps=20, generator=numbers()))
    assert max(step.loss.item() for step in steps) == 50


@pytest.mark.parametrize("attack, norm", [(cw, "l2"), (ead, "l1")])
def test_a_target_class_is_reached(attack, norm):
    def three(pixels):
        return 4 * pixels.flatten(1)[:, :3]

    pixels = torch.tensor([0.9, 0.8, 0.7, 0.5]).view(1, 1, 2, 2)
    step = last(attack(three, pixels, zeros(), eps=1, norm=norm, target=2, generator=numbers()))
    assert three(step.attacked).argmax() == 2


def test_our_pgd_is_foolboxs_from_the_same_start():
    bent = make_bent(3)
    pixels = torch.rand(4, 1, 8, 8, generator=numbers(3))
    start = (pixels + 0.02 * torch.rand(pixels.shape, generator=numbers(4))).clamp(0, 1)
    labels = bent(pixels).argmax(1)
    library = foolbox()

    class FromStart(library.attacks.LinfPGD):
        def get_random_start(self, x0, epsilon):
            return type(x0)(start)

    theirs = FromStart(abs_stepsize=2 / 255, steps=15)
    model = library.PyTorchModel(_Wrapped(bent), bounds=(0, 1), device="cpu")
    attacked = theirs.run(model, pixels, library.Misclassification(labels), epsilon=8 / 255)
    settings = {"eps": 8, "step_size": 2, "steps": 15, "start": start, "generator": numbers()}
    ours = last(pgd(bent, pixels, labels, **settings)).attacked
    assert (attacked - pixels).abs().max() > 0.03
    assert torch.allclose(ours, attacked, atol=1e-6)


def test_where_nothing_fools_the_highest_margin_seen_counts():
    """Foolbox answers with black then; the second class can't win, as its logit is 2 lower than the first one's."""

    def stubborn(pixels):
        far = pixels.flatten(1).mean(1)
        return torch.stack([2 + far, far.square()], 1)

    step = last(cw(stubborn, middle(), zeros(), eps=0.2, norm="l2", steps=5, generator=numbers()))
    assert step.attacked.min() > 0.3 and moved(step).norm() <= 0.2 + 1e-6


@pytest.mark.parametrize("attack, norm", [(cw, "l2"), (ead, "l1")])
def test_a_hopeless_neighbour_does_not_end_the_search_early(attack, norm):
    def steep_or_flat(pixels):
        """No gradient at all where the first pixel is black."""
        dark = pixels[:, 0, 0, :1] < 0.01
        return torch.where(dark, torch.tensor([1e6, 0.0]), linear(pixels))

    hopeless = middle()
    hopeless[..., 0, 0] = 0
    settings = {"eps": 2, "norm": norm, "generator": numbers()}
    alone = last(attack(steep_or_flat, middle(), zeros(), **settings)).attacked[0]
    together = last(attack(steep_or_flat, torch.cat([middle(), hopeless]), zeros(2), **settings)).attacked[0]
    assert linear(alone[None]).argmax() == 1
    assert torch.allclose(alone, together, atol=1e-6)


def calls(count):
    """A monolithic attack that asks so many times and then moves everything up by .1."""

    def run(model, pixels, labels):
        for number in range(count):
            model(pixels + number / 100)
        return pixels + 0.1

    return run


def test_each_call_is_a_step_and_the_result_the_last_one():
    steps = list(stepped(calls(4), linear, middle(), zeros(), 1.0, "linf"))
    assert [step.index for step in steps] == list(range(5))
    assert torch.allclose(steps[2].attacked, middle() + 0.02)
    assert torch.allclose(steps[2].logits, linear(middle() + 0.02))


def test_the_attack_waits_until_a_step_is_asked_for():
    asked = []

    def watched(pixels):
        asked.append(pixels)
        return linear(pixels)

    steps = stepped(calls(10), watched, middle(), zeros(), 1.0, "linf")
    for count in (1, 2, 3):
        next(steps)
        assert len(asked) == count
    steps.close()
    assert len(asked) == 3


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "attack"]


@pytest.mark.parametrize("asked_for", [0, 1, 3])
def test_closing_leaves_no_thread_behind(asked_for):
    steps = cw(linear, middle(), zeros(), eps=1, norm="l2", generator=numbers())
    for _ in range(asked_for):
        next(steps)
        assert threads()
    steps.close()
    assert not threads()


def test_forgetting_the_generator_leaves_no_thread_behind():
    steps = deepfool(linear, middle(), zeros(), eps=1)
    next(steps)
    assert threads()
    del steps
    assert not threads()


def test_an_error_of_the_model_comes_out_and_leaves_no_thread_behind():
    def broken(pixels):
        raise RuntimeError("The model is broken.")

    with pytest.raises(RuntimeError, match="broken"):
        last(deepfool(broken, middle(), zeros(), eps=1))
    assert not threads()


@pytest.mark.parametrize("training", [False, True])
def test_the_shared_model_stays_as_it_is(training):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3, affine=False))
    model[2].eval()
    model[1].train(training)
    flags = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for attack, norm in ((cw, "l2"), (cw, "linf"), (deepfool, "linf"), (ead, "l1")):
        list(attack(model, middle(2), zeros(2), eps=1, norm=norm, steps=3, generator=numbers()))
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not list(_Wrapped(model).parameters()) and all(value.grad is None for value in model.parameters())


def test_foolbox_is_loaded_only_when_it_is_needed_and_without_a_git_program(tmp_path):
    code = (
        "import sys; from core.attacks import library; assert 'foolbox' not in sys.modules; "
        "library.foolbox(); assert 'foolbox' in sys.modules"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT")}
    environment["PATH"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


@pytest.mark.parametrize(
    "attack, change",
    [
        (cw, {"norm": "l1"}),
        (deepfool, {"norm": "l1"}),
        (deepfool, {"target": 1}),
        (ead, {"norm": "linf"}),
        (cw, {"searches": 0, "norm": "l2"}),
        (ead, {"steps": 0}),
    ],
)
def test_what_they_cannot_do_is_said_in_a_sentence(attack, change):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        next(attack(linear, middle(), zeros(), **({"eps": 8, "generator": numbers()} | change)))
    assert not threads()
