"""Answers to samples, before damage and after it, on a network that is small enough to solve by hand."""

from types import SimpleNamespace

import torch
from torch import nn

from core.faults import Fault
from core.faults.sample_answers import sample_answers
from core.faults.samples import Samples


class Brightness(nn.Module):
    """Says “bright” where the weighted mean of a scan is above one half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]), requires_grad=False)

    def forward(self, pixels):
        bright = self.weight * pixels.mean((1, 2, 3))
        return torch.stack([torch.full_like(bright, 0.5), bright], 1)


BUNDLE = SimpleNamespace(classes=("dark", "bright"), classifiers={"one": Brightness()}, mae=None)
SAMPLES = Samples(torch.tensor([0.0, 0.2, 0.6, 0.9]).reshape(4, 1, 1, 1), torch.tensor([0, 0, 1, 1]))
SIGN, TOP = 31, 30


def answers(*faults):
    return sample_answers(BUNDLE, "one", SAMPLES, faults)


def test_nothing_flipped_changes_nothing():
    found = answers()
    assert found.before == found.after == ("dark", "dark", "bright", "bright")
    assert (found.turned, found.missing, found.kept) == (0, 0, 4)


def test_a_flipped_sign_turns_the_bright_ones():
    found = answers(Fault("weight", 0, SIGN))
    assert found.after == ("dark",) * 4 and (found.turned, found.missing, found.kept) == (2, 0, 2)


def test_the_top_bit_of_the_exponent_makes_numbers_go():
    """1.0 becomes infinite: of a black scan that is 0 · ∞, of the others ∞."""
    found = answers(Fault("weight", 0, TOP))
    assert found.after == (None,) * 4 and (found.turned, found.missing, found.kept) == (0, 4, 0)
    assert BUNDLE.classifiers["one"].weight.item() == 1, "the shared network is left alone"
