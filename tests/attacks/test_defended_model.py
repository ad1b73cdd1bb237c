"""Attackers who know the defence, on a bundle in float32."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from core import Bundle, load_bundle, load_scan
from core.attacks import AttackSettings, DefendedModel, attack_pixels, attackable_pixels
from core.bundles.calibration import NOTHING, Borderline

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exact():
    return load_bundle("brain-mri", torch.float32)


@pytest.fixture(scope="module")
def pixels(sample_files, exact):
    return attackable_pixels(load_scan(sample_files[-1]), exact)


@pytest.fixture(scope="module")
def attacked(pixels, exact):
    for step in attack_pixels(pixels, exact, AttackSettings("pgd", steps=10)):
        last = step.attacked
    return last


@pytest.mark.slow
@torch.no_grad()
def test_what_is_not_flagged_is_answered_as_it_is(pixels, exact):
    defence = DefendedModel(exact, "resnet18")
    assert not defence.decide(pixels)[0].any()
    assert torch.equal(defence(pixels), exact.classifiers["resnet18"](pixels))


@pytest.mark.slow
@torch.no_grad()
def test_what_is_flagged_is_purified_with_fresh_noise(attacked, exact):
    defence = DefendedModel(exact, "resnet18")
    assert defence.decide(attacked)[0].all()
    first, second = defence(attacked), defence(attacked)
    assert not torch.equal(first, second)
    assert first.argmax(1) != exact.classifiers["resnet18"](attacked).argmax(1)


@pytest.mark.slow
@torch.no_grad()
def test_a_borderline_answer_is_left_as_it_is(attacked, exact):
    defence = DefendedModel(exact, "resnet18")
    own = exact.classifiers["resnet18"](attacked)
    evidence = defence.evidence(attacked)
    certainty, instability = own.softmax(1).max().item(), evidence.scores["instability"].item()
    for borderline, stands in (
        (Borderline(certainty + 0.01, instability + 0.01), True),
        (Borderline(certainty - 0.01, instability + 0.01), False),
        (Borderline(certainty + 0.01, instability - 0.01), False),
    ):
        defence = DefendedModel(exact, "resnet18")
        defence.limits = replace(defence.limits, borderline=borderline)
        assert (defence.alarm(evidence) < 0).tolist() == [stands]
        assert defence.decide(attacked)[0].tolist() == [not stands]
        assert torch.equal(defence(attacked), own) == stands


@pytest.mark.slow
@pytest.mark.parametrize("borderline", [NOTHING, Borderline(0.9, 0.06)])
def test_the_alarm_has_a_gradient_either_way(pixels, exact, borderline):
    defence = DefendedModel(exact, "resnet18")
    defence.limits = replace(defence.limits, borderline=borderline)
    leaf = pixels.clone().requires_grad_()
    gradient = torch.autograd.grad(defence.alarm(defence.evidence(leaf)).sum(), leaf)[0]
    assert gradient.isfinite().all() and gradient.abs().max() > 0


@pytest.mark.slow
@torch.no_grad()
def test_in_a_batch_only_the_flagged_image_is_purified(pixels, attacked, exact):
    defence, network = DefendedModel(exact, "resnet18"), exact.classifiers["resnet18"]
    both = torch.cat([pixels, attacked])
    assert defence.decide(both)[0].tolist() == [False, True]
    same = (defence(both) == network(both)).all(1)
    assert same.tolist() == [True, False]


def in_float64(bundle: Bundle) -> Bundle:
    """A copy of a bundle in which differences of 1e-5 are far above what is rounded off."""
    classifiers = {name: deepcopy(network).double() for name, network in bundle.classifiers.items()}
    return replace(bundle, classifiers=classifiers, diffusion=deepcopy(bundle.diffusion).double())


@pytest.mark.slow
def test_gradient_through_the_whole_defence_equals_finite_differences(attacked, exact):
    """On a flagged scan, through diffusion, U-Net and classifier of the real bundle."""
    pixels, precise = attacked.clamp(0.1, 0.9).double(), in_float64(exact)

    def margin(moved):
        defence = DefendedModel(precise, "resnet18")
        defence._decided = (moved.detach(), torch.tensor([True]), torch.tensor([100]))
        defence.generator.manual_seed(7)
        logits = defence(moved)
        return logits[0, 0] - logits[0, 1]

    leaf = pixels.clone().requires_grad_()
    gradient = torch.autograd.grad(margin(leaf), leaf)[0]
    direction = gradient * pixels.numel() ** 0.5 / gradient.norm()
    slope = (gradient * direction).sum().item()
    with torch.no_grad():
        measured = (margin(pixels + 1e-5 * direction) - margin(pixels - 1e-5 * direction)).item() / 2e-5
    assert slope == pytest.approx(measured, rel=0.02)


def test_bpda_takes_purification_for_the_identity(attacked, exact):
    real, straight = DefendedModel(exact, "resnet18"), DefendedModel(exact, "resnet18", straight_through=True)
    t_star = torch.tensor([100])
    leaf = attacked.clone().requires_grad_()
    assert torch.autograd.grad(straight.purified(leaf, t_star).sum(), leaf)[0].unique().tolist() == [1]
    with torch.no_grad():
        again = DefendedModel(exact, "resnet18").purified(attacked, t_star)
    assert torch.allclose(real.purified(attacked, t_star), again)
    assert torch.allclose(
        DefendedModel(exact, "resnet18", straight_through=True).purified(attacked, t_star), again, atol=1e-6
    )


@pytest.mark.parametrize(
    "settings, reason",
    [
        (AttackSettings("magic"), "magic"),
        (AttackSettings("pgd", eps=-1), "above 0"),
        (AttackSettings("pgd", steps=0), "at least 1"),
        (AttackSettings("rays", norm="l2"), "linf"),
        (AttackSettings("pgd", target=7), "target class"),
        (AttackSettings("gamma", severity=6), "severity"),
    ],
)
def test_wrong_parameters_give_one_sentence(pixels, exact, settings, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        list(attack_pixels(pixels, exact, settings))
    assert str(caught.value).count(".") >= 1 and "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["pgd", "square", "cw"])
def test_attacks_leave_the_shared_network_and_the_global_seeds_alone(pixels, exact, method):
    import numpy as np

    network = exact.classifiers["resnet18"]
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    runs = [list(attack_pixels(pixels, exact, AttackSettings(method, steps=3)))[-1].attacked for _ in range(2)]
    assert torch.equal(*runs)
    assert torch.equal(torch.get_rng_state(), torch_state) and (np.random.get_state()[1] == numpy_state).all()
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
