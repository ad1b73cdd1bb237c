"""The attack that fools the classifier and passes the detector, on defences small enough to see through."""

from types import SimpleNamespace

import pytest
import torch

from core.attacks import AttackSettings, DefendedModel, attack_steps
from core.attacks.detector_aware import detector_aware
from core.bundles.calibration import Borderline, Limits
from tests.attacks.tiny import linear, middle, zeros


class Guard(DefendedModel):
    """Two pixels: the classifier minds the first, the detector the sum of both."""

    def __init__(self):
        pass

    def evidence(self, pixels):
        flat = pixels.flatten(1)
        logits = torch.stack([0.5 - flat[:, 0], flat[:, 0] - 0.5], dim=1) * 10
        return SimpleNamespace(logits=logits, denoised_logits=logits, total=flat.sum(1))

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


def test_it_makes_up_for_what_the_detector_would_see():
    """To fool, the first pixel must rise above .5; to pass, the second must fall so that the sum stays below 1."""
    pixels, labels = torch.tensor([[[[0.4, 0.55]]]]), torch.tensor([0])
    for step in detector_aware(Guard(), pixels, labels, eps=0.2 * 255, steps=40):
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


def test_a_classifier_alone_is_refused():
    with pytest.raises(ValueError, match="whole defence"):
        next(attack_steps(linear, middle(), zeros(), AttackSettings("detector-aware"), 0))
