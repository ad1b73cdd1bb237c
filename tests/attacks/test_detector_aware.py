"""The attack that fools the classifier and passes the detector, on defences small enough to see through."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import core.attacks
from core.attacks import AttackSettings, DefendedModel, attack_pixels, attack_scan, attack_steps
from core.attacks.attempts import lengths
from core.attacks.detector_aware import PASSES, detector_aware, feature_hiding, hidden, orthogonal
from core.attacks.gradient import radius
from core.bundles.calibration import Borderline, Limits
from tests.attacks.tiny import linear, middle, zeros
from tests.defended import NAME, defended_bundle, scans


class Guard(DefendedModel):
    """Two pixels: the classifier minds the first, the detector the sum of both."""

    def __init__(self):
        pass

    clean_scores = {"sum": [0.85, 0.9, 0.95, 1.0]}

    def evidence(self, pixels):
        flat = pixels.flatten(1)
        logits = torch.stack([0.5 - flat[:, 0], flat[:, 0] - 0.5], dim=1) * 10
        total = flat.sum(1)
        return SimpleNamespace(
            logits=logits, denoised_logits=logits, total=total, scores={"sum": total}, scope_distance=0 * total
        )

    def alarm(self, evidence):
        return (evidence.total / 1.0).log()


class Wary(Guard):
    """A defence that flags whatever it sees, with an answer that stands while it is at most 80 % sure and steady."""

    limits = Limits({"amv": 0.1, "instability": 1.0}, 1.0, ((float("inf"), 40),), Borderline(0.8, 0.1))
    alarm = DefendedModel.alarm

    def evidence(self, pixels):
        evidence = super().evidence(pixels)
        evidence.scores = {"amv": evidence.total, "instability": 0 * evidence.total}
        return evidence


@pytest.mark.parametrize("attack", [detector_aware, orthogonal])
def test_it_makes_up_for_what_the_detector_would_see(attack):
    """To fool, the first pixel must rise above .5; to pass, the second must fall so that the sum stays below 1."""
    pixels, labels = torch.tensor([[[[0.4, 0.55]]]]), torch.tensor([0])
    for step in attack(Guard(), pixels, labels, eps=0.2 * 255, steps=40):
        result = step.attacked.flatten()
    assert result[0] > 0.5 and result.sum() < 1
    assert (result - pixels.flatten()).abs().max() <= 0.2 + 1e-6


def test_it_stops_at_a_borderline_answer_where_nothing_else_passes():
    pixels, labels = torch.tensor([[[[0.4, 0.55]]]]), torch.tensor([0])
    for step in detector_aware(Wary(), pixels, labels, eps=0.2 * 255, steps=40):
        result = step.attacked
    evidence = Wary().evidence(result)
    assert evidence.logits.argmax(1) != labels
    assert evidence.logits.softmax(1).amax() <= 0.8 and evidence.total > 0.1


def test_limits_that_purify_nothing_alarm_where_the_scan_is_flagged_and_nowhere_else():
    class Hardened(Wary):
        limits = replace(Wary.limits, purifies=False, altered=("amv",))

    class Silent(Wary):
        limits = replace(Wary.limits, thresholds={"amv": 0.1}, purifies=False, altered=("amv",))

    class Loud(Wary):
        limits = replace(Wary.limits, purifies=False)  # its answer is borderline, and flagged all the same

    pixels, labels = torch.tensor([[[[0.4, 0.55]]]]), torch.tensor([0])
    alarms = [guard().alarm(guard().evidence(pixels)).item() for guard in (Hardened, Silent, Loud, Wary)]
    assert alarms[0] < PASSES and alarms[1] < PASSES and alarms[2] > 0 and alarms[3] < alarms[2]
    for guard in (Hardened, Silent):
        for attack in (detector_aware, orthogonal):
            *_, step = attack(guard(), pixels, labels, eps=0.2 * 255, steps=10)
            assert step.attacked.flatten()[0] == pytest.approx(0.6, abs=1e-3)  # nothing holds it back


def test_its_steps_shrink_and_are_two_and_a_half_radii_over_their_number_in_the_mean():
    """Twice as long at first, and shorter by the same amount each time."""
    seen = []

    class Watched(Guard):
        def evidence(self, pixels):
            seen.append(pixels.detach().flatten()[0].item())
            return super().evidence(pixels)

    list(detector_aware(Watched(), torch.tensor([[[[0.1, 0.1]]]]), torch.tensor([0]), eps=0.3 * 255, steps=20))
    mean = 2.5 * 0.3 / 20
    expected = [2 * mean * (1 - step / 20) for step in range(4)]
    assert [after - before for before, after in zip(seen, seen[1:5])] == pytest.approx(expected, rel=1e-4)


def test_an_orthogonal_step_leaves_the_other_loss_alone():
    """The classifier minds the first pixel alone, the alarm both alike: what fools runs along their difference."""

    def first_step(pixels):
        steps = list(orthogonal(Guard(), pixels, torch.tensor([0]), eps=0.1, norm="l2", steps=3))
        return (steps[1].attacked - pixels).flatten()

    moved = first_step(torch.tensor([[[[0.2, 0.3]]]]))
    assert moved[0] > 0.05 and moved.sum().abs() < 1e-6
    sure = torch.tensor([[[[0.7, 0.6]]]])  # fooled and flagged: now the alarm is lowered, and the first pixel stays
    moved = first_step(sure)
    assert moved[0].abs() < 1e-6 and moved[1] < -0.05


def test_hidden_features_end_among_those_of_clean_scans():
    """The sum has to come back to that of clean scans, which it exceeds, while the classifier is fooled."""
    pixels, labels = torch.tensor([[[[0.4, 0.8]]]]), torch.tensor([0])
    for step in feature_hiding(Guard(), pixels, labels, eps=0.3 * 255, steps=40):
        result = step.attacked.flatten()
    assert result[0] > 0.5 and 0.8 < result.sum() < 1.05
    assert (result - pixels.flatten()).abs().max() <= 0.3 + 1e-6


def test_how_well_hidden_a_scan_is_has_its_true_gradient():
    clean = {"a": torch.tensor([0.1, 0.2, 0.4]), "b": torch.tensor([3.0, 2.0, 5.0])}
    point = torch.tensor([0.3, 2.5, 0.7], dtype=torch.float64, requires_grad=True)

    def likelihood(values):
        scores = {"a": values[:1], "b": values[1:2], "unknown": values[2:]}
        return hidden(SimpleNamespace(scores=scores, scope_distance=values[2:]), clean)

    assert torch.autograd.gradcheck(likelihood, (point,), eps=1e-6, atol=1e-4)
    near, far = (likelihood(torch.tensor(values)) for values in ([0.2, 2.0, 0.0], [0.9, 9.0, 0.0]))
    assert near > far


@pytest.mark.parametrize("attack", ["detector-aware", "orthogonal", "feature-hiding"])
@pytest.mark.parametrize("norm, eps", [("linf", 8), ("l2", 0.5), ("l1", 3)])
def test_no_step_leaves_its_ball_on_a_whole_defence(attack, norm, eps):
    data, limits = scans(2), Limits({"mae_error": 0.01, "amv": 0.5, "instability": 1e-4}, 1.0, ((float("inf"), 40),))
    model = DefendedModel(replace(defended_bundle(), limits={NAME: limits}), NAME)
    steps = list(attack_steps(model, data.pixels, data.labels, AttackSettings(attack, eps=eps, norm=norm, steps=3), 0))
    assert (steps[-1].attacked != data.pixels).any()
    for step in steps:
        assert (lengths(step.attacked - data.pixels, norm) <= radius(eps, norm) * (1 + 1e-5)).all()
        assert 0 <= step.attacked.min() and step.attacked.max() <= 1 and step.attacked.isfinite().all()


@pytest.mark.parametrize("attack", ["detector-aware", "orthogonal", "feature-hiding"])
def test_a_classifier_alone_is_refused(attack):
    with pytest.raises(ValueError, match="whole defence"):
        next(attack_steps(linear, middle(), zeros(), AttackSettings(attack), 0))


@pytest.mark.parametrize("seeds, faced", [({"seed": 7, "detector_seed": 3}, 3), ({"seed": 7}, 7)])
def test_the_detectors_noise_has_a_seed_of_its_own(monkeypatch, seeds, faced):
    """The attack's own draws go by `seed`, whatever the noise that it faces."""
    models, drawn = [], []
    bundle, real = defended_bundle(), attack_steps
    monkeypatch.setattr(core.attacks, "DefendedModel", lambda *how: models.append(DefendedModel(*how)) or models[-1])
    monkeypatch.setattr(core.attacks, "attack_steps", lambda *how: drawn.append(how[-1]) or real(*how))
    settings = AttackSettings("pgd", steps=1, white_box=True)
    pixels = scans(1).pixels
    list(attack_pixels(pixels, bundle, settings, **seeds))
    monkeypatch.setattr(core.attacks, "attackable_pixels", lambda *_: pixels)
    monkeypatch.setattr(core.attacks, "attacked_scan", lambda *_, **__: None)
    attack_scan(None, bundle, settings, **seeds)
    assert [model.seed for model in models] == [faced] * 2 and drawn == [7] * 2
